"""FFmpeg filter graphs between a decoder and an encoder. A graph is rebuilt when the format of the frames changes
midway."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
from av.filter import Graph

from services.media.processing.sandbox.sources import BT709, LIMITED, Colours, Filter, Shape, colours_of

THREADS = 2
LARGE = 2_560 * 1_440  # pixels
MATRICES = {1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020nc"}  # names of H.273


def decode_in_threads(picture: Any) -> None:
    """Each thread keeps a frame of its own, for which those of 4K are too large: eight of 10 bits take 200 MB."""
    large = picture.width * picture.height > LARGE
    picture.thread_type, picture.codec_context.thread_count = ("SLICE", 1) if large else ("AUTO", THREADS)


class Output(NamedTuple):
    """The format of the frames to make."""

    width: int  # of the frame as displayed, even
    height: int
    stretch: Fraction  # width of a pixel relative to its height, about 1
    colours: Colours
    rate: int = 0  # frames per second at most; 0: all frames
    format: str = "yuv420p"


def output_for(shape: Shape, colours: Colours, longest_side: int) -> Output:
    """Even sides, the longer one at most `longest_side`, limited range, no HDR."""
    scale = min(1.0, longest_side / max(shape.width, shape.height))
    width, height = (max(round(side * scale / 2) * 2, 2) for side in (shape.width, shape.height))
    stretch = Fraction(shape.width * height, shape.height * width) if shape.stretch != 1 else Fraction(1)
    if colours.is_hdr or colours.matrix not in MATRICES:
        colours = Colours(BT709, BT709, BT709, LIMITED)
    return Output(width, height, stretch, colours._replace(range=LIMITED))


class PictureGraph:
    """Deinterlaces, scales, maps HDR to SDR and turns frames."""

    def __init__(self, shape: Shape, output: Output, interlaced: bool, table: Path | None) -> None:
        self._shape, self._output, self._interlaced, self._table = shape, output, interlaced, table
        self._graph: Graph | None = None
        self._key: tuple[Any, ...] = ()

    def run(self, frame: Any) -> Iterator[Any]:
        """Yields the frames that come out for this one. None flushes the graph."""
        if frame is not None:
            colours = colours_of(frame)
            key = (frame.width, frame.height, frame.format.name, colours.matrix, colours.range, frame.time_base)
            if key != self._key:
                yield from self._drain()
                self._graph, self._key = self._build(frame, colours), key
            yield from _pass(self._graph, frame)
        else:
            yield from self._drain()

    def _drain(self) -> Iterator[Any]:
        if self._graph:
            yield from _pass(self._graph, None)
        self._graph = None

    def _build(self, frame: Any, colours: Colours) -> Graph:
        graph = Graph()
        graph.threads = THREADS
        source = f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base={frame.time_base}"
        source += f":pixel_aspect=1/1:range={colours.range}:colorspace={colours.matrix}"
        nodes = [("buffer", source), *self._filters(frame, colours), ("buffersink", "")]
        graph.link_nodes(*(graph.add(name, args or None) for name, args in nodes)).configure()
        return graph

    def _filters(self, frame: Any, colours: Colours) -> Iterator[Filter]:
        width, height = self._output.width, self._output.height
        if self._shape.lies:
            width, height = height, width
        matrix = MATRICES.get(self._output.colours.matrix, "bt709")
        inward = f":in_color_matrix={MATRICES[colours.matrix]}" if colours.matrix in MATRICES else ""
        inward += f":in_range={'pc' if colours.range != LIMITED or frame.format.is_rgb else 'tv'}"
        outward = f":out_color_matrix={matrix}:out_range=tv"
        if self._interlaced:
            yield "bwdif", "mode=send_frame:deint=interlaced"
        if self._table and colours.is_hdr:
            yield "scale", f"{width}:{height}{inward}"
            yield "format", "gbrp10le"
            yield "lut3d", f"file={self._table}:interp=tetrahedral"
            yield "scale", f"{width}:{height}{outward}"
        else:
            yield "scale", f"{width}:{height}{inward}{outward}"
        yield "format", self._output.format
        yield from self._shape.transforms


class SoundGraph:
    """Resamples and mixes down, into pieces of the encoder's frame size. Starts at 0 and fills gaps with silence."""

    def __init__(self, layout: str, rate: int, frame_size: int) -> None:
        self._layout, self._rate, self._frame_size = layout, rate, frame_size
        self._graph: Graph | None = None
        self._key: tuple[Any, ...] = ()
        self._made = 0  # samples

    def run(self, frame: Any) -> Iterator[Any]:
        """Yields the pieces that come out for this frame, whose times count samples. None flushes the graph."""
        if frame is not None:
            key = (frame.sample_rate, frame.format.name, frame.layout.name)
            if key != self._key:
                yield from self._drain()
                self._graph, self._key = self._build(frame), key
        pieces = _pass(self._graph, frame) if frame is not None else self._drain()
        for piece in pieces:
            self._made = piece.pts + piece.samples
            yield piece

    def _drain(self) -> Iterator[Any]:
        if self._graph:
            yield from _pass(self._graph, None)
        self._graph = None

    def _build(self, frame: Any) -> Graph:
        graph = Graph()
        source = graph.add_abuffer(
            sample_rate=frame.sample_rate,
            format=frame.format,
            layout=frame.layout,
            time_base=Fraction(1, frame.sample_rate),
        )
        resample = graph.add("aresample", f"{self._rate}:async=1:first_pts={self._made}")
        shape = graph.add("aformat", f"sample_fmts=fltp:channel_layouts={self._layout}:sample_rates={self._rate}")
        graph.link_nodes(source, resample, shape, graph.add("abuffersink")).configure()
        graph.set_audio_frame_size(self._frame_size)
        return graph


def _pass(graph: Any, frame: Any) -> Iterator[Any]:
    graph.push(frame)
    while True:
        try:
            yield graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
