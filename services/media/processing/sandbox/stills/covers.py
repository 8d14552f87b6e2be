"""Makes a video's cover: an upright picture of a frame that is not blank, or of the frame at a given time."""

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
from PIL import ImageFilter, ImageStat

from services.media.files.filetypes import TYPES
from services.media.processing.sandbox import renditions, sources, tonemapping
from services.media.processing.sandbox.filters import PictureGraph, output_for
from services.media.processing.sandbox.limits import Refused

PLACES = (0.1, 0.25, 0.5, 0.75, 0.0, 0.02, 0.9)  # of the duration, best first
GOOD_CONTRAST, GOOD_DETAIL = 25.0, 6.0  # standard deviations of a good frame's brightness (0 to 255) and edges
NEARBY = 9  # frames at a place, of which the sharpest counts: the others may be blurred by a movement or a transition
ALMOST_GOOD = 0.99
MAX_DECODED = 900  # frames from a key frame to a place; then the last one decoded is taken
LONGEST_SIDE = 1_280  # pixels
QUALITY = 85


class Candidate(NamedTuple):
    score: float  # 1 or more: certainly not black, blank or blurred
    sharpness: float  # compares frames of one scene
    frame: Any

    @property
    def is_good(self) -> bool:
        return self.score >= 1


def make(source: Path, extension: str, target: Path, cuts: Path, at: int | None = None) -> dict[str, Any]:
    """Writes the cover as a JPEG to `target`. `at`: the time of the frame in milliseconds; None chooses a good one.

    Raises Refused, and what PyAV raises for a broken file.
    """
    format = TYPES[extension].format
    look = renditions.look_at(source, format)
    best = _best(source, format) if at is None else _shown_at(source, format, Fraction(at, 1_000))
    width, height = look.shape.width, look.shape.height
    table = cuts.with_suffix(".cube") if look.colours.is_hdr else None
    if table:
        tonemapping.write(table, look.colours.transfer)
    graph = PictureGraph(look.shape, output_for(look.shape, look.colours, LONGEST_SIDE), look.interlaced, table)
    (shown, *_) = [*graph.run(best), *graph.run(None)]
    image = shown.to_image()
    scale = min(1.0, LONGEST_SIDE / max(width, height))
    image = image.resize((max(round(width * scale), 1), max(round(height * scale), 1)))
    image.save(target, "JPEG", quality=QUALITY, optimize=True)
    if table:
        table.unlink(missing_ok=True)
    return {"extension": "jpg"}


def _best(source: Path, format: str) -> Any:
    """The first good frame, or the frame with the highest score if none is good."""
    best: Candidate | None = None
    # Without an index, a seek may find no key frame: then the file is read from its beginning.
    for find in (_candidates, _from_the_beginning):
        with av.open(str(source), format=format) as container:
            stream = sources.picture_of(container)
            stream.codec_context.thread_count = 1
            for candidate in find(container, stream):
                if best is None or candidate.score > best.score:
                    best = candidate
                if candidate.is_good:
                    break
        if best is not None:
            return best.frame
    raise Refused("BROKEN", "no frame can be decoded")


def _shown_at(source: Path, format: str, seconds: Fraction) -> Any:
    """The frame that a player shows at that time; the first or the last one outside of the video."""
    # Without an index, a seek may land after the time: then the file is read from its beginning.
    for is_sought in (True, False):
        with av.open(str(source), format=format) as container:
            stream = sources.picture_of(container)
            stream.codec_context.thread_count = 1
            at = float(sources.start_of(container) + seconds) + 0.001  # times of frames are rounded
            if is_sought:
                with suppress(av.FFmpegError):
                    container.seek(int(at * 1_000_000), backward=True)
            shown = _last_until(at, container, stream)
            if shown is not None and (shown.time or 0) <= at:
                break
    if shown is None:
        raise Refused("BROKEN", "no frame can be decoded")
    return shown


def _last_until(at: float, container: Any, stream: Any) -> Any:
    """The last frame until that time; the first one if there is none, and None if none can be decoded."""
    shown = None
    for frame in _frames(container, stream):
        if shown is not None and (frame.time or 0) > at:
            break
        shown = frame
    return shown


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    for packet in sources.demux(container, [stream]):
        yield from sources.decode(packet)


def _candidates(container: Any, stream: Any) -> Iterator[Candidate]:
    """The frames at PLACES. Places that cannot be sought are skipped."""
    begin, duration = container.start_time or 0, container.duration or 0
    for place in PLACES:
        at = begin + int(duration * place)
        try:
            container.seek(at, backward=True)
        except av.FFmpegError:
            continue
        yield from _reach(container, stream, at / 1_000_000)


def _from_the_beginning(container: Any, stream: Any) -> Iterator[Candidate]:
    yield from _reach(
        container, stream, float(sources.start_of(container)) + float(container.duration or 0) * PLACES[0] / 1_000_000
    )


def _reach(container: Any, stream: Any, seconds: float) -> Iterator[Candidate]:
    """The best of the frames shown from that time on. Frames are decoded from the key frame before it, which may be far
    away."""
    first: Candidate | None = None
    sharpest: Candidate | None = None
    last, count, left = None, 0, NEARBY
    for frame in _frames(container, stream):
        last, count = frame, count + 1
        if (frame.time or 0.0) < seconds - 0.001 and count < MAX_DECODED:
            continue
        candidate = _judge(frame)
        first = first or candidate
        if sharpest is None or candidate.sharpness > sharpest.sharpness:
            sharpest = candidate
        left -= 1
        if not left:
            break
    if first and sharpest:
        # In a fade from black the later frames look good, and are still dark.
        yield sharpest if first.is_good else sharpest._replace(score=min(sharpest.score, ALMOST_GOOD))
    elif last is not None:
        yield _judge(last)


def _judge(frame: Any) -> Candidate:
    small = frame.reformat(width=128, height=128, format="gray").to_image()
    contrast = ImageStat.Stat(small).stddev[0] / GOOD_CONTRAST
    large = frame.reformat(width=384, height=384, format="gray").to_image()
    return Candidate(min(contrast, _edges(small) / GOOD_DETAIL), _edges(large), frame)


def _edges(picture: Any) -> float:
    """How much detail a square picture has."""
    side = picture.width - 1
    return float(ImageStat.Stat(picture.filter(ImageFilter.FIND_EDGES).crop((1, 1, side, side))).stddev[0])
