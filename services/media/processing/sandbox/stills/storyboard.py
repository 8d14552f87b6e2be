"""Makes a storyboard: small pictures of the whole recording in one sheet, which players show while a user scrubs."""

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from PIL import Image

from services.media.files.filetypes import TYPES
from services.media.processing.sandbox import renditions, sources, tonemapping
from services.media.processing.sandbox.filters import PictureGraph, output_for
from services.media.processing.sandbox.limits import Refused

LONGEST_SIDE = 160  # pixels of a tile
COLUMNS, MOST = 10, 100  # tiles in a row, and in all
LEAST = Fraction(1)  # seconds that a tile stands for
EXACT_SECONDS = 120  # of longer recordings a tile is the key frame before its place: decoding all would take too long
QUALITY = 75


def make(source: Path, extension: str, target: Path, cuts: Path) -> dict[str, Any]:
    """Writes the sheet as a JPEG to `target`. `seconds` is what each tile stands for, `tiles` their number; `width` and
    `height` are those of a tile. Raises Refused, and what PyAV raises for a broken file."""
    format = TYPES[extension].format
    look = renditions.look_at(source, format)
    form = output_for(look.shape, look.colours, LONGEST_SIDE)
    table = cuts.with_suffix(".cube") if look.colours.is_hdr else None
    if table:
        tonemapping.write(table, look.colours.transfer)
    sheet, count = Image.new("RGB", (COLUMNS * form.width, -(-MOST // COLUMNS) * form.height)), 0
    with av.open(str(source), format=format) as container:
        duration = Fraction(container.duration or 0, av.time_base)
        seconds = max(LEAST, duration / MOST)
        for frame in _frames(container, [seconds * n for n in range(min(MOST, max(math.ceil(duration / seconds), 1)))]):
            graph = PictureGraph(look.shape, form, look.interlaced, table)
            (shown, *_) = [*graph.run(frame), *graph.run(None)]
            sheet.paste(shown.to_image(), (count % COLUMNS * form.width, count // COLUMNS * form.height))
            count += 1
    if table:
        table.unlink(missing_ok=True)
    if not count:
        raise Refused("BROKEN", "no frame can be decoded")
    sheet = sheet.crop((0, 0, min(count, COLUMNS) * form.width, -(-count // COLUMNS) * form.height))
    sheet.save(target, "JPEG", quality=QUALITY, optimize=True)
    about = {"seconds": float(seconds), "tiles": count, "width": form.width, "height": form.height}
    return {"extension": "jpg", "duration": float(duration), **about}


def _frames(container: Any, places: list[Fraction]) -> Iterator[Any]:
    """A frame for each place, in seconds from the start; fewer if the recording ends earlier."""
    stream = sources.picture_of(container)
    stream.codec_context.thread_count = 1
    start = sources.start_of(container)
    if places[-1] <= EXACT_SECONDS:
        yield from _passed(container, stream, [start + place for place in places])
        return
    stream.codec_context.skip_frame = "NONKEY"
    last = None
    for place in places:
        last = _sought(container, stream, start + place) or last
        if last is not None:
            yield last


def _passed(container: Any, stream: Any, places: list[Fraction]) -> Iterator[Any]:
    """The frames shown at these times: the first that is not before each."""
    last, number = None, 0
    for packet in sources.demux(container, [stream]):
        for frame in sources.decode(packet):
            last = frame
            while number < len(places) and (frame.time or 0.0) >= places[number] - Fraction(1, 1000):
                yield frame
                number += 1
            if number == len(places):
                return
    if last is not None and number < len(places):
        yield last


def _sought(container: Any, stream: Any, place: Fraction) -> Any | None:
    """The key frame before this time."""
    try:
        container.seek(int(place * av.time_base), backward=True)
    except av.FFmpegError:
        return None
    for packet in sources.demux(container, [stream]):
        for frame in sources.decode(packet):
            return frame
    return None
