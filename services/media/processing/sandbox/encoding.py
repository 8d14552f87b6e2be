"""A recording encoded anew, as H.264 and AAC, with whole pictures where segments.py is to cut it."""

from fractions import Fraction
from typing import Any

import av
from av.video.frame import PictureType

from services.media.processing.sandbox.segments import SECONDS

LONGEST_SIDE = 1_920
RATE = 30  # pictures a second, where the source tells none
FORMAT = av.VideoFormat("yuv420p")
SAMPLES = 48_000  # a second
# How telephones say that pictures are to be shown turned, in degrees against the clock.
TURNS: dict[int, list[tuple[str, str | None]]] = {
    90: [("transpose", "cclock")],
    -90: [("transpose", "clock")],
    180: [("hflip", None), ("vflip", None)],
    -180: [("hflip", None), ("vflip", None)],
}


def encode(container: Any, picture: Any, sound: Any, output: Any, turn: int) -> None:
    """The two streams of a container, the second perhaps None. Raises what PyAV raises of a broken file."""
    tracks: dict[int, Pictures | Sounds] = {picture.index: Pictures(output, picture, turn)}
    if sound:
        tracks[sound.index] = Sounds(output)
    for packet in container.demux([stream for stream in (picture, sound) if stream]):
        for frame in packet.decode():
            output.mux(tracks[packet.stream.index].encode(frame))
    for track in tracks.values():
        output.mux(track.encode(None))


class Pictures:
    def __init__(self, output: Any, source: Any, turn: int) -> None:
        scale = min(1.0, LONGEST_SIDE / max(source.width, source.height))
        self._width, self._height = (max(round(side * scale / 2) * 2, 2) for side in (source.width, source.height))
        lying = abs(turn) == 90
        options = {"preset": "veryfast", "crf": "23"}
        stream = output.add_stream("libx264", rate=source.average_rate or RATE, options=options)
        stream.width, stream.height = (self._height, self._width) if lying else (self._width, self._height)
        stream.pix_fmt, stream.codec_context.thread_count = "yuv420p", 2
        stream.time_base = source.time_base
        self._stream, self._cut_at = stream, 0.0
        self._turn = self._graph(TURNS[turn], source.time_base) if turn in TURNS else None

    def _graph(self, filters: list[tuple[str, str | None]], time_base: Any) -> av.filter.Graph:
        graph = av.filter.Graph()
        source = graph.add_buffer(width=self._width, height=self._height, format=FORMAT, time_base=time_base)
        graph.link_nodes(source, *(graph.add(*filter) for filter in filters), graph.add("buffersink")).configure()
        return graph

    def encode(self, frame: Any) -> Any:
        """None: that was all."""
        if frame is None:
            return self._stream.encode(None)
        shown = frame.reformat(width=self._width, height=self._height, format="yuv420p")
        if self._turn:
            self._turn.push(shown)
            shown = self._turn.pull()
        whole = frame.time is not None and frame.time >= self._cut_at
        shown.pict_type = PictureType.I if whole else PictureType.NONE
        if whole:
            self._cut_at = frame.time + SECONDS
        return self._stream.encode(shown)


class Sounds:
    def __init__(self, output: Any) -> None:
        self._stream = output.add_stream("aac", rate=SAMPLES, layout="stereo")
        self._resampler = av.AudioResampler("fltp", "stereo", SAMPLES, frame_size=1_024)

    def encode(self, frame: Any) -> list[Any]:
        """None: that was all."""
        if frame and frame.pts is not None:  # the resampler keeps to its time base, and AVI's is a whole frame
            frame.pts = round(frame.pts * frame.time_base * frame.sample_rate)
            frame.time_base = Fraction(1, frame.sample_rate)
        packets = [packet for piece in self._resampler.resample(frame) for packet in self._stream.encode(piece)]
        return packets if frame else [*packets, *self._stream.encode(None)]
