"""Encodes a recording as H.264 and AAC, with key frames at the times where segments.py cuts it."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from av.video.frame import PictureType

from services.media.processing.sandbox import filters, progress, sources
from services.media.processing.sandbox.copying import Copy
from services.media.processing.sandbox.filters import Output, PictureGraph, SoundGraph
from services.media.processing.sandbox.hls.segments import SECONDS

RATE = 30  # frames per second, if the source states none
CLOCK = Fraction(1, 90_000)  # time base of video: it holds every usual frame rate exactly, or nearly
SAMPLES, FRAME = 48_000, 1_024  # per second, and per AAC packet
SOUND_BITS = 128_000  # per second
OPTIONS = {"preset": "veryfast", "sc_threshold": "0", "g": "9999"}
# HEVC, as x265 takes it: key frames where we set them, which players can begin with; few pictures held in memory.
HEVC = {"preset": "ultrafast", "forced-idr": "1"}
HEVC_PARAMS = "log-level=none:open-gop=0:keyint=-1:scenecut=0:frame-threads=1:bframes=0:rc-lookahead=4"
# (Longest shorter side, x264's CRF, maximum in kbit/s): small pictures are scaled up, which shows each error large.
QUALITIES = ((240, "16", 900), (380, "19", 1_100), (500, "20", 2_000), (800, "21", 4_000), (9_999, "23", 7_000))
FIRST = Fraction(1)  # seconds: the first segment is short, so that playback starts soon


class Lane(NamedTuple):
    """A track of an output, and the source stream that feeds it."""

    source: Any
    track: "Pictures | Sounds | Copy"
    output: Any


def encode(container: Any, lanes: Sequence[Lane]) -> None:
    """Fills all lanes. Each packet is decoded once, for however many lanes.

    Raises Uncopyable, and what PyAV raises for a broken file.
    """
    by_stream = {lane.source.index: [other for other in lanes if other.source is lane.source] for lane in lanes}
    begins, seconds = sources.start_of(container), (container.duration or 0) / 1_000_000
    for packet in sources.demux(container, [of[0].source for of in by_stream.values()]):
        taking = by_stream[packet.stream.index]
        frames = [] if all(isinstance(lane.track, Copy) for lane in taking) else sources.decode(packet)
        if packet.pts is not None and seconds:
            progress.reporter.tell(float(packet.pts * packet.time_base - begins) / seconds)
        for lane in taking:
            for made in lane.track.take(packet) if isinstance(lane.track, Copy) else lane.track.take(frames):
                lane.output.mux(made)
    for lane in lanes:
        if not isinstance(lane.track, Copy):
            for made in lane.track.finish():
                lane.output.mux(made)


class Pictures:
    """A video track. Each frame keeps its own time: no frame rate is forced on it."""

    def __init__(self, output: Any, source: Any, form: Output, graph: PictureGraph, start: Fraction) -> None:
        codec, options = _encoder_for(form)
        stream = output.add_stream(codec, rate=_rate_of(source), options=options, time_base=CLOCK)
        stream.width, stream.height, stream.pix_fmt = form.width, form.height, form.format
        context = stream.codec_context
        if codec == "libx265":
            context.codec_tag = "hvc1"  # Apple's players want it
        context.sample_aspect_ratio, context.thread_count = form.stretch, filters.THREADS
        colours = form.colours
        context.color_primaries, context.color_trc = colours.primaries, colours.transfer
        context.colorspace, context.color_range = colours.matrix, colours.range
        self._stream, self._graph, self._start = stream, graph, start
        self._step = round(1 / _rate_of(source) / CLOCK)
        self._least = round(Fraction(9, 10) / form.rate / CLOCK) if form.rate else 0  # between two frames
        self._last, self._cut_at = -1, 0
        self._durations: dict[int, int] = {}

    def take(self, frames: Sequence[Any]) -> Iterator[Any]:
        for frame in frames:
            for shown in self._graph.run(frame):
                yield from self._encode(shown)

    def finish(self) -> Iterator[Any]:
        for shown in self._graph.run(None):
            yield from self._encode(shown)
        yield from self._timed(self._stream.encode(None))

    def _encode(self, frame: Any) -> Iterator[Any]:
        """Skips a frame that is not later than the one before, as FFmpeg does."""
        step = round((frame.duration or 0) * frame.time_base / CLOCK) or self._step
        time = self._last + step if frame.pts is None else round((frame.pts * frame.time_base - self._start) / CLOCK)
        if time <= self._last or time < 0 or (self._last >= 0 and time < self._last + self._least):
            return
        frame.pts, frame.time_base, self._last = time, CLOCK, time
        self._durations[time] = step
        whole = time >= self._cut_at
        frame.pict_type = PictureType.I if whole else PictureType.NONE
        if whole:
            self._cut_at = round((FIRST if time == 0 or not self._cut_at else self._next_cut(time)) / CLOCK)
        yield from self._timed(self._stream.encode(frame))

    def _next_cut(self, time: int) -> Fraction:
        """The time of the next key frame, on a grid that does not depend on the frames: all sizes are cut at the same
        times."""
        return FIRST + (int((time * CLOCK - FIRST) / SECONDS) + 1) * Fraction(SECONDS)

    def _timed(self, packets: list[Any]) -> Iterator[Any]:
        """Restores each packet's duration, which the encoder drops and the last packet needs."""
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts, self._step)
            yield packet


def _encoder_for(form: Output) -> tuple[str, dict[str, str]]:
    """Its name and options: H.264, or HEVC for pictures of 10 bits."""
    side = min(form.width, form.height)
    crf, bits = next((crf, bits) for most, crf, bits in QUALITIES if side <= most)
    if form.format == "yuv420p":
        return "libx264", OPTIONS | {"crf": crf, "maxrate": f"{bits}k", "bufsize": f"{bits}k"}
    rates = f"vbv-maxrate={bits}:vbv-bufsize={bits}:pools={filters.THREADS}"
    return "libx265", HEVC | {"crf": crf, "x265-params": f"{HEVC_PARAMS}:{rates}"}


def _rate_of(source: Any) -> Fraction:
    rate = source.guessed_rate or source.average_rate
    return Fraction(rate) if rate and 1 <= rate <= 240 else Fraction(RATE)


class Sounds:
    """An audio track. Mono stays mono, everything else becomes stereo."""

    def __init__(self, output: Any, source: Any, start: Fraction) -> None:
        layout = "mono" if source.channels == 1 else "stereo"
        self._stream = output.add_stream("aac", rate=SAMPLES, layout=layout, bit_rate=SOUND_BITS)
        self._graph, self._start = SoundGraph(layout, SAMPLES, FRAME), start
        self._next = Fraction(0)  # seconds

    def take(self, frames: Sequence[Any]) -> Iterator[Any]:
        for frame in frames:
            if frame.samples and frame.sample_rate:
                as_it_was = frame.pts, frame.time_base
                begins = self._next if frame.pts is None else frame.pts * frame.time_base - self._start
                self._next = begins + Fraction(frame.samples, frame.sample_rate)
                frame.pts, frame.time_base = round(begins * frame.sample_rate), Fraction(1, frame.sample_rate)
                for piece in self._graph.run(frame):
                    yield from self._stream.encode(piece)
                frame.pts, frame.time_base = as_it_was  # for the other lanes

    def finish(self) -> Iterator[Any]:
        for piece in self._graph.run(None):
            yield from self._stream.encode(piece)
        yield from self._stream.encode(None)
