"""Makes what browsers play: the video itself, its streams in another container, or H.264 and AAC in MP4.

Only the tracks that browsers do not play are encoded; the others are copied.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import av

from services.media.files.filetypes import TYPES
from services.media.processing.sandbox import copying, encoding, filters, sources, tonemapping
from services.media.processing.sandbox.copying import Copy, Uncopyable
from services.media.processing.sandbox.encoding import Lane, Pictures, Sounds
from services.media.processing.sandbox.formats import boxes, matroska
from services.media.processing.sandbox.hls import rungs, segments
from services.media.processing.sandbox.sources import Colours, Shape

EIGHT_BITS = ("yuv420p", "yuvj420p", "yuva420p")
FORMATS = {"av1": (*EIGHT_BITS, "yuv420p10le")}  # of other codecs few devices decode 10 bits, and of all few 4:4:4
RARE = ("High 4:4:4 Predictive",)  # H.264 without loss says so, whatever its colours
Codecs = tuple[tuple[str, ...], tuple[str, ...]]  # of video, of audio
# The codecs that browsers play, by container.
CODECS: dict[str, Codecs] = {
    "mp4": (("h264", "av1"), ("aac", "mp3", "opus")),
    "webm": (("vp8", "vp9", "av1"), ("opus", "vorbis")),
}
SEGMENTED: Codecs = (("h264",), ("aac",))  # the codecs that HLS players play
OPTIONS = {
    "mp4": {"movflags": "+faststart", "fflags": "+bitexact"},
    "webm": {"cues_to_front": "1", "fflags": "+bitexact"},
}
LONGEST_SIDE = 1_920  # pixels
BITS = 12_000_000  # per second at most in a file that is not encoded again
RATE = 61  # frames per second, likewise
UNCOPYABLE = (Uncopyable, av.error.InvalidDataError, av.error.ArgumentError)  # also what no container takes as it is
LOOKED_AT = 8  # frames examined for interlacing


class Look(NamedTuple):
    """The properties of all frames, guessed from the first ones."""

    shape: Shape
    colours: Colours
    interlaced: bool


def make(source: Path, extension: str, target: Path, cuts: Path) -> dict[str, Any]:
    """Writes the rendition to `target`, and, if it had to be encoded, the same cut into segments to `cuts`.

    Raises Refused, and what PyAV raises for a broken file.
    """
    format = TYPES[extension].format
    look = look_at(source, format)
    with av.open(str(source), format=format) as container:
        picture, sound = sources.picture_of(container), sources.sound_of(container)
        plays = _plays(container, picture, look)
        into = next((name for name, codecs in CODECS.items() if plays and _are(picture, sound, codecs)), "")
        ladder = len(rungs.sides_of(look.shape)) > 1
        if into == extension and _is_complete(source, container, extension):
            return {"extension": "", "ladder": ladder}
        copied = [plays and _are(picture, None, SEGMENTED), _are(None, sound, SEGMENTED)]
        try:
            if into:
                return _copy(container, [picture, sound], target, into) | {"ladder": ladder}
        except UNCOPYABLE:
            copied = [False, False]
    try:
        return _encode(source, format, look, copied, target, cuts)
    except UNCOPYABLE:
        if not any(copied):
            raise
        return _encode(source, format, look, [False, False], target, cuts)


def _is_complete(source: Path, container: Any, extension: str) -> bool:
    """Whether a player learns the length and the index at once."""
    if extension == "webm":
        return bool(container.duration) and matroska.is_seekable(source)
    return boxes.starts_fast(source)


def look_at(source: Path, format: str) -> Look:
    """Decodes the first frames. Raises Refused."""
    with av.open(str(source), format=format) as container:
        picture = sources.picture_of(container)
        frames = sources.first_frames(container, picture, LOOKED_AT)
        first = next(frames)
        shape, colours, interlaced = sources.shape_of(picture, first), sources.colours_of(first), first.interlaced_frame
        del first
        return Look(shape, colours, interlaced or any(frame.interlaced_frame for frame in frames))


def _plays(container: Any, picture: Any, look: Look) -> bool:
    """Whether players that have the decoder may get the video track as it is."""
    codec, context = sources.codec_of(picture), picture.codec_context
    if look.colours.is_hdr or context.pix_fmt not in FORMATS.get(codec, EIGHT_BITS) or context.profile in RARE:
        return False
    too_much = (container.bit_rate or 0) > BITS or (picture.average_rate or 0) > RATE
    too_large = max(look.shape.width, look.shape.height) > LONGEST_SIDE
    return not (too_much or too_large or look.interlaced or look.shape.is_mirrored)


def _are(picture: Any, sound: Any, codecs: Codecs) -> bool:
    return all(
        stream is None or sources.codec_of(stream) in known
        for stream, known in zip((picture, sound), codecs, strict=True)
    )


def _copy(container: Any, streams: list[Any], target: Path, extension: str) -> dict[str, Any]:
    with av.open(str(target), "w", format=extension, options=OPTIONS[extension]) as output:
        copying.copy(container, [stream for stream in streams if stream], output)
    return {"extension": extension, "segments": []}


def _encode(source: Path, format: str, look: Look, copied: list[bool], target: Path, cuts: Path) -> dict[str, Any]:
    sides = rungs.sides_of(look.shape)
    reduced = len(sides) > 1 and not copied[0]  # to the smallest size, shown until the others are made
    with ExitStack() as stack:
        container = stack.enter_context(av.open(str(source), format=format))
        output = stack.enter_context(av.open(str(target), "w", format="mp4", options=OPTIONS["mp4"]))
        picture, sound, start = sources.picture_of(container), sources.sound_of(container), sources.start_of(container)
        filters.decode_in_threads(picture)
        lanes = []
        if copied[0]:
            lanes.append(Lane(picture, Copy(output, picture, start), output))
        else:
            form = filters.output_for(look.shape, look.colours, LONGEST_SIDE)
            if reduced:
                form = rungs.output_for(look.shape, look.colours, sides[0])
            graph = filters.PictureGraph(look.shape, form, look.interlaced, table_for(stack, cuts, look))
            lanes.append(Lane(picture, Pictures(output, picture, form, graph, start), output))
        if sound:
            # The sound of all rungs is to be alike, so that players can change between them.
            track = Copy(output, sound, start) if copied[1] and not reduced else Sounds(output, sound, start)
            lanes.append(Lane(sound, track, output))
        encoding.encode(container, lanes)
    found = segments.cut(target, cuts)
    told = {"segments": found, "rung": rungs.describe(target, found)}
    return {"extension": "mp4", "ladder": len(sides) > 1, "reduced": reduced, **told}


def table_for(stack: ExitStack, cuts: Path, look: Look) -> Path | None:
    """Writes the table for HDR frames next to the job's other scratch files. Returns None without HDR."""
    if not look.colours.is_hdr:
        return None
    table = cuts.with_suffix(".cube")
    stack.callback(table.unlink, missing_ok=True)
    tonemapping.write(table, look.colours.transfer)
    return table
