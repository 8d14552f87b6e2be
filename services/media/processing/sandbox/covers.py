"""A video's cover: a frame that shows something."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
from PIL import ImageStat

from services.media.processing.sandbox.limits import Refused

PLACES = (0.1, 0.0, 0.25, 0.5, 0.75, 0.02, 0.9)  # of the duration, best first
GOOD = 20.0  # deviation of brightness (0 to 255) that is surely no black or blank frame
LONGEST_SIDE = 1_280
QUALITY = 85


def make(source: Path, extension: str, target: Path, cuts: Path) -> dict[str, Any]:
    """Raises Refused, and what PyAV raises of a broken file."""
    best, best_score = None, -1.0
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        for frame in _candidates(container, stream):
            score = _score(frame)
            if score > best_score:
                best, best_score = frame, score
            if score >= GOOD:
                break
        if best is None:
            raise Refused("BROKEN", "no frame can be decoded")
        image = best.to_image().rotate(best.rotation, expand=True)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    image.convert("RGB").save(target, "JPEG", quality=QUALITY, optimize=True)
    return {"extension": "jpg"}


def _candidates(container: Any, stream: Any) -> Iterator[Any]:
    """The frames at PLACES; those that cannot be sought, from the beginning."""
    for place in PLACES:
        try:
            container.seek(int((container.duration or 0) * place) + (container.start_time or 0))
            yield next(container.decode(stream))
        except (av.FFmpegError, StopIteration):
            continue


def _score(frame: Any) -> float:
    return float(ImageStat.Stat(frame.reformat(width=64, height=64, format="gray").to_image()).stddev[0])
