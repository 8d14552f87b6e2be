"""A recording encoded anew, as H.264 and AAC, with whole pictures where segments.py is to cut it."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from av.video.frame import PictureType

from services.media.processing.sandbox import sources
from services.media.processing.sandbox.copying import Copy
from services.media.processing.sandbox.filters import THREADS, Output, PictureGraph, SoundGraph
from services.media.processing.sandbox.segments import SECONDS

RATE = 30  # pictures a second, where the source tells none
CLOCK = Fraction(1, 90_000)  # of pictures: any rate that cameras have is exact in it, or nearly
SAMPLES, FRAME = 48_000, 1_024  # a second, and in a packet of AAC
SOUND_BITS = 128_000  # a second
OPTIONS = {"preset": "veryfast", "maxrate": "8M", "bufsize": "16M", "sc_threshold": "0", "g": "9999"}
# The shorter side up to which a quality (x264's CRF) is used: what is small shows each error large, and costs little.
QUALITIES = ((240, "16"), (480, "19"), (800, "21"), (99_999, "23"))


def encode(container: Any, tracks: dict[int, "Pictures | Sounds | Copy"], output: Any) -> None:
    """The tracks by the index of their stream. Raises what PyAV raises of a broken file, and Uncopyable."""
    streams = [container.streams[index] for index in tracks]
    for packet in sources.demux(container, streams):
        track = tracks[packet.stream.index]
        for made in track.take(packet):
            output.mux(made)
    for track in tracks.values():
        if not isinstance(track, Copy):
            for made in track.finish():
                output.mux(made)


class Pictures:
    """Every picture is encoded, with its own time: no rate is forced on them."""

    def __init__(self, output: Any, source: Any, form: Output, graph: PictureGraph, start: Fraction) -> None:
        quality = next(crf for side, crf in QUALITIES if min(form.width, form.height) <= side)
        options = OPTIONS | {"crf": quality}
        stream = output.add_stream("libx264", rate=_rate_of(source), options=options, time_base=CLOCK)
        stream.width, stream.height, stream.pix_fmt = form.width, form.height, "yuv420p"
        context = stream.codec_context
        context.sample_aspect_ratio, context.thread_count = form.stretch, THREADS
        colours = form.colours
        context.color_primaries, context.color_trc = colours.primaries, colours.transfer
        context.colorspace, context.color_range = colours.matrix, colours.range
        self._stream, self._graph, self._start = stream, graph, start
        self._step = round(1 / _rate_of(source) / CLOCK)
        self._last, self._cut_at = -1, 0
        self._durations: dict[int, int] = {}

    def take(self, packet: Any) -> Iterator[Any]:
        for frame in sources.decode(packet):
            for shown in self._graph.run(frame):
                yield from self._encode(shown)

    def finish(self) -> Iterator[Any]:
        for shown in self._graph.run(None):
            yield from self._encode(shown)
        yield from self._timed(self._stream.encode(None))

    def _encode(self, frame: Any) -> Iterator[Any]:
        """Nothing for a picture that is not later than the one before, as in FFmpeg."""
        step = round((frame.duration or 0) * frame.time_base / CLOCK) or self._step
        time = self._last + step if frame.pts is None else round((frame.pts * frame.time_base - self._start) / CLOCK)
        if time <= self._last or time < 0:
            return
        frame.pts, frame.time_base, self._last = time, CLOCK, time
        self._durations[time] = step
        whole = time >= self._cut_at
        frame.pict_type = PictureType.I if whole else PictureType.NONE
        if whole:
            self._cut_at = time + round(SECONDS / CLOCK)
        yield from self._timed(self._stream.encode(frame))

    def _timed(self, packets: list[Any]) -> Iterator[Any]:
        """With how long each is shown, which the encoder forgets and the last of them needs."""
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts, self._step)
            yield packet


def _rate_of(source: Any) -> Fraction:
    rate = source.guessed_rate or source.average_rate
    return Fraction(rate) if rate and 1 <= rate <= 240 else Fraction(RATE)


class Sounds:
    """Mono stays mono, all else becomes stereo."""

    def __init__(self, output: Any, source: Any, start: Fraction) -> None:
        layout = "mono" if source.channels == 1 else "stereo"
        self._stream = output.add_stream("aac", rate=SAMPLES, layout=layout, bit_rate=SOUND_BITS)
        self._graph, self._start = SoundGraph(layout, SAMPLES, FRAME), start
        self._next = Fraction(0)  # seconds

    def take(self, packet: Any) -> Iterator[Any]:
        for frame in sources.decode(packet):
            if frame.samples and frame.sample_rate:
                begins = self._next if frame.pts is None else frame.pts * frame.time_base - self._start
                self._next = begins + Fraction(frame.samples, frame.sample_rate)
                frame.pts, frame.time_base = round(begins * frame.sample_rate), Fraction(1, frame.sample_rate)
                for piece in self._graph.run(frame):
                    yield from self._stream.encode(piece)

    def finish(self) -> Iterator[Any]:
        for piece in self._graph.run(None):
            yield from self._stream.encode(piece)
        yield from self._stream.encode(None)
