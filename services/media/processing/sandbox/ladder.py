"""A recording in several sizes, of which players choose by what the network carries: each in segments that begin at
the same times, so that they can go from one to another at any.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import av

from services.media.files.filetypes import TYPES
from services.media.processing.sandbox import encoding, filters, renditions, rungs, segments, sources
from services.media.processing.sandbox.encoding import Lane, Pictures, Sounds

FRUGAL = 2  # rungs, the lowest, of what could not be made whole


def make(source: Path, extension: str, target: Path, cuts: Path) -> dict[str, Any]:
    """`rungs`, lowest first: each in a file that plays by itself, and in another of segments."""
    format = TYPES[extension].format
    look = renditions.look_at(source, format)
    sides = rungs.sides_of(look.shape)[: FRUGAL if filters.THREADS == 1 else None]
    files = [(side, target.with_name(f"{target.name}-{side}")) for side in sides]
    with ExitStack() as stack:
        container = stack.enter_context(av.open(str(source), format=format))
        picture, sound, start = sources.picture_of(container), sources.sound_of(container), sources.start_of(container)
        picture.thread_type, picture.codec_context.thread_count = "AUTO", filters.THREADS
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
    return {"rungs": [_cut(side, path, cuts.with_name(f"{cuts.name}-{side}")) for side, path in files]}


def _cut(side: int, path: Path, cuts: Path) -> dict[str, Any]:
    found = segments.cut(path, cuts)
    return {"side": side, "whole": str(path), "cuts": str(cuts), "segments": found, **rungs.describe(path, found)}
