"""The sizes in which a recording is made, and their entries in the master playlist."""

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from services.media.processing.sandbox import filters
from services.media.processing.sandbox.filters import Output
from services.media.processing.sandbox.hls.segments import Segment
from services.media.processing.sandbox.sources import Colours, Shape

SOUND = "mp4a.40.2"  # AAC-LC, as players name it (RFC 6381)
SIDES = (360, 480, 720, 1_080)  # the shorter side of each size, in pixels
SMALL = 480  # up to this side half the frame rate is enough
RATES = (30, 60)
NEAR = Fraction(5, 4)  # a source needs more than this times the largest size below it to get a size of its own


def sides_of(shape: Shape) -> list[int]:
    """The sizes for a recording of this shape, smallest first; at least one."""
    side = min(shape.width, shape.height)
    sides = [rung for rung in SIDES if rung <= side]
    if side < SIDES[-1] and (not sides or side > sides[-1] * NEAR):
        sides.append(side)
    return sides


def output_for(shape: Shape, colours: Colours, side: int) -> Output:
    longest = side * Fraction(max(shape.width, shape.height), min(shape.width, shape.height))
    return filters.output_for(shape, colours, round(longest))._replace(rate=RATES[side > SMALL])


def describe(path: Path, found: list[Segment]) -> dict[str, Any]:
    """The attributes of one size in a master playlist (RFC 8216bis, 4.4.6.2)."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        codecs = [codec_of(stream), *map(_sound_of, container.streams.audio)]
        return {
            "width": stream.width,
            "height": stream.height,
            "codecs": ",".join(codecs),
            "rate": round(float(stream.average_rate or 0), 3),  # of the pictures, which may end before the sound
            **rates_of(found),
        }


def codec_of(stream: Any) -> str:
    """As players name it: of H.264 by RFC 6381, of HEVC by ISO/IEC 14496-15, E.3."""
    said = bytes(stream.codec_context.extradata or b"")
    if stream.codec_context.name != "hevc":
        return f"avc1.{said[1]:02x}{said[2]:02x}{said[3]:02x}"
    compatible = int(f"{int.from_bytes(said[2:6]):032b}"[::-1], 2)
    tier, rest = "H" if said[1] & 0x20 else "L", said[6:12].rstrip(b"\0")
    return ".".join(["hvc1", str(said[1] & 0x1F), f"{compatible:X}", f"{tier}{said[12]}", *(f"{of:X}" for of in rest)])


def _sound_of(stream: Any) -> str:
    """The kind of AAC, which its first bits say (ISO/IEC 14496-3, 1.6.2.1): what was copied may be of several."""
    return f"mp4a.40.{bytes(stream.codec_context.extradata)[0] >> 3}"


def seconds_of(found: list[Segment]) -> float:
    return sum(length for _, _, length in found)


def rates_of(found: list[Segment]) -> dict[str, int]:
    """Bits per second."""
    mean = sum(size for _, size, _ in found) * 8 / max(seconds_of(found), 0.001)
    return {"peak": round(peak_of(found)), "mean": round(mean)}


def peak_of(found: list[Segment]) -> float:
    """Bits per second: the most of any segments in a row that last about as long as one (RFC 8216bis, 4.1)."""
    target = math.ceil(max(length for _, _, length in found))
    rates = [sum(size for _, size, _ in found) * 8 / max(sum(length for _, _, length in found), 0.001)]
    for first in range(len(found)):
        size = seconds = 0.0
        for _, more, length in found[first:]:
            size, seconds = size + more, seconds + length
            if seconds > 1.5 * target:
                break
            if seconds >= 0.5 * target:
                rates.append(size * 8 / seconds)
    return max(rates)
