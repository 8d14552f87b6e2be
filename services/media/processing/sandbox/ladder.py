"""Encodes a recording in several sizes, among which players choose by network speed.

The segments of all sizes begin at the same times, so a player can change the size at any segment.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import av

from services.media.files.filetypes import TYPES
from services.media.processing.sandbox import encoding, filters, hdr, renditions, sources
from services.media.processing.sandbox.encoding import Lane, Pictures, Sounds
from services.media.processing.sandbox.hls import rungs, segments, sounds

FRUGAL = 2  # sizes, the smallest ones, if an attempt to make all failed


def make(source: Path, extension: str, target: Path, cuts: Path, begun: bool = False) -> dict[str, Any]:
    """Returns `rungs`, smallest first. Each size is written twice: as a file that plays by itself, and cut into
    segments. `sound` is the recording without pictures, for who only listens; None if it has no sound.
    `hdr` says whether its colours deserve a rendition of their own. `begun`: the smallest exists already and is left
    out."""
    format = TYPES[extension].format
    look = renditions.look_at(source, format)
    sides = rungs.sides_of(look.shape)[int(begun) : FRUGAL if filters.THREADS == 1 else None]
    files = [(side, target.with_name(f"{target.name}-{side}")) for side in sides]
    with ExitStack() as stack:
        container = stack.enter_context(av.open(str(source), format=format))
        picture, sound, start = sources.picture_of(container), sources.sound_of(container), sources.start_of(container)
        filters.decode_in_threads(picture)
        table = renditions.table_for(stack, cuts, look)
        lanes = []
        for side, path in files:
            output = stack.enter_context(av.open(str(path), "w", format="mp4", options=renditions.OPTIONS["mp4"]))
            form = rungs.output_for(look.shape, look.colours, side)
            graph = filters.PictureGraph(look.shape, form, look.interlaced, table)
            lanes.append(Lane(picture, Pictures(output, picture, form, graph, start), output))
            if sound:
                lanes.append(Lane(sound, Sounds(output, sound, start), output))
        encoding.encode(container, lanes)
    made = [_cut(side, path, cuts.with_name(f"{cuts.name}-{side}")) for side, path in files]
    heard = sounds.cut(files[0][1], cuts.with_name(f"{cuts.name}-sound")) if sound else None
    return {"rungs": made, "sound": heard, "hdr": hdr.deserves(look) and filters.THREADS > 1}


def _cut(side: int, path: Path, cuts: Path) -> dict[str, Any]:
    found = segments.cut(path, cuts)
    return {"side": side, "whole": str(path), "cuts": str(cuts), "segments": found, **rungs.describe(path, found)}
