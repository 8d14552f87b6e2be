"""The sizes that a recording is made in, and what players are told of each."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from services.media.processing.sandbox import filters
from services.media.processing.sandbox.filters import Output
from services.media.processing.sandbox.segments import Segment
from services.media.processing.sandbox.sources import Colours, Shape

SOUND = "mp4a.40.2"  # AAC-LC, as players name it (RFC 6381)
SIDES = (360, 480, 720, 1_080)  # the shorter one of each rung, in pixels
SMALL = 480  # up to which half as many pictures a second will do
RATES = (30, 60)
NEAR = Fraction(5, 4)  # of the highest rung below a source: what is no larger gets no rung of its own size


def sides_of(shape: Shape) -> list[int]:
    """The rungs for pictures of that size, lowest first; at least one."""
    side = min(shape.width, shape.height)
    sides = [rung for rung in SIDES if rung <= side]
    if side < SIDES[-1] and (not sides or side > sides[-1] * NEAR):
        sides.append(side)
    return sides


def output_for(shape: Shape, colours: Colours, side: int) -> Output:
    longest = side * Fraction(max(shape.width, shape.height), min(shape.width, shape.height))
    return filters.output_for(shape, colours, round(longest))._replace(rate=RATES[side > SMALL])


def describe(path: Path, found: list[Segment]) -> dict[str, Any]:
    """What a master playlist says of a rung (RFC 8216bis, 4.4.6.2)."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        profile, compatibility, level = bytes(stream.codec_context.extradata or b"")[1:4]
        codecs = [f"avc1.{profile:02x}{compatibility:02x}{level:02x}", *([SOUND] if container.streams.audio else [])]
        seconds = sum(length for _, _, length in found)
        return {
            "width": stream.width,
            "height": stream.height,
            "codecs": ",".join(codecs),
            "rate": round(stream.frames / max(seconds, 0.001), 3),
            "peak": max(round(size * 8 / max(length, 0.5)) for _, size, length in found),
            "mean": round(sum(size for _, size, _ in found) * 8 / max(seconds, 0.001)),
        }
