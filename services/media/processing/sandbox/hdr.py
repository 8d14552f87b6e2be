"""Encodes an HDR recording as HEVC of 10 bits in its own colours, for players that show them. The segments begin at the
same times as those of the ladder, so players can change between it and the sizes of that."""

from pathlib import Path
from typing import Any

import av

from services.media.files.filetypes import TYPES
from services.media.processing.sandbox import encoding, filters, renditions, sources
from services.media.processing.sandbox.encoding import Lane, Pictures, Sounds
from services.media.processing.sandbox.hls import rungs, segments
from services.media.processing.sandbox.renditions import Look
from services.media.processing.sandbox.sources import LIMITED, PQ

RATE = 30  # frames per second at most: HEVC takes several times the CPU of H.264


def deserves(look: Look) -> bool:
    """Whether the recording is HDR, of a kind that can be scaled."""
    return look.colours.is_hdr and look.colours.matrix in filters.MATRICES


def make(source: Path, extension: str, target: Path, cuts: Path) -> dict[str, Any]:
    """Writes it whole to `target`, and cut into segments to `cuts`. `range` is PQ or HLG."""
    format = TYPES[extension].format
    look = renditions.look_at(source, format)
    form = rungs.output_for(look.shape, look.colours, rungs.sides_of(look.shape)[-1])
    form = form._replace(colours=look.colours._replace(range=LIMITED), format="yuv420p10le", rate=RATE)
    with av.open(str(source), format=format) as container, av.open(str(target), "w", format="mp4") as output:
        picture, sound, start = sources.picture_of(container), sources.sound_of(container), sources.start_of(container)
        filters.decode_in_threads(picture)
        graph = filters.PictureGraph(look.shape, form, look.interlaced, None)
        lanes = [Lane(picture, Pictures(output, picture, form, graph, start), output)]
        if sound:
            lanes.append(Lane(sound, Sounds(output, sound, start), output))
        encoding.encode(container, lanes)
    found = segments.cut(target, cuts)
    made = {"segments": found, "range": "PQ" if look.colours.transfer == PQ else "HLG", **rungs.describe(target, found)}
    return {"extension": "mp4", "hdr": made}
