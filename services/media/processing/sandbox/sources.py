"""Reads an open recording: which of its streams are played, and how its frames are displayed."""

import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import av
from av.sidedata.sidedata import Type
from av.stream import Disposition

from services.media.processing.sandbox.formats.timeline import Timeline
from services.media.processing.sandbox.limits import Refused

MAX_STRETCH = 8  # pixels wider or narrower than this are an error in the header
UNSPECIFIED = 2  # in ITU-T H.273: primaries, transfer and matrix
BT709, SMPTE170M, BT2020 = 1, 6, 9
PQ, HLG = 16, 18
LIMITED = 1
HD_HEIGHT = 720
BROADCAST = ("mpegts", "mpeg")  # formats whose clock may jump
Filter = tuple[str, str]


def picture_of(container: Any) -> Any:
    """The default video stream, else the first one; cover art does not count. None if there is none."""
    return _default([stream for stream in container.streams.video if not _is_cover_art(stream)])


def sound_of(container: Any) -> Any:
    """The default audio stream, else the first that can be decoded. None if there is none."""
    return _default([stream for stream in container.streams.audio if stream.codec_context is not None])


def _default(streams: Sequence[Any]) -> Any | None:
    marked = [stream for stream in streams if stream.disposition & Disposition.default]
    return next(iter([*marked, *streams]), None)


def _is_cover_art(stream: Any) -> bool:
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def codec_of(stream: Any) -> str:
    """FFmpeg's name of the codec itself, such as `av1`, whichever library decodes it."""
    return str(stream.codec_context.codec.canonical_name)


def start_of(container: Any) -> Fraction:
    """The time in seconds at which the container begins. Renditions begin at 0."""
    return Fraction(container.start_time or 0, 1_000_000)


def demux(container: Any, streams: Sequence[Any]) -> Iterator[Any]:
    """Yields the packets, then those that flush the decoders. An error ends the stream, as in FFmpeg."""
    packets = container.demux(list(streams))
    timeline = Timeline() if container.format.name in BROADCAST else None
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.InvalidDataError:
            break
        if timeline:
            timeline.place(packet)
        yield packet
    for stream in streams:
        flush: Any = av.Packet()
        flush.stream = stream
        yield flush


def decode(packet: Any) -> list[Any]:
    """The frames of a packet. A broken packet has none, as in FFmpeg."""
    frames: list[Any] = []
    try:
        frames = list(packet.decode())
    except MemoryError:
        raise
    except av.FFmpegError:  # decoders of broken packets raise errors of many kinds
        pass
    if packet.stream.codec_context.name == "mpeg4" and packet.stream.container.format.name == "avi":
        for frame in frames:  # AVI states no times: FFmpeg's guess fails where packets hold two pictures, as Xvid's do
            frame.pts = frame.dts
    return frames


class Shape(NamedTuple):
    """How frames are displayed: turned by `transforms`, with pixels `stretch` times as wide as high."""

    width: int  # as displayed, upright
    height: int
    stretch: Fraction  # 1 for square pixels
    transforms: tuple[Filter, ...]

    @property
    def lies(self) -> bool:
        """Whether width and height are exchanged when the frame is displayed."""
        return any(name == "transpose" for name, _ in self.transforms)

    @property
    def is_mirrored(self) -> bool:
        return self.transforms not in TURNS


CLOCK, COUNTERCLOCK = (("transpose", "clock"),), (("transpose", "cclock"),)
HALF = (("hflip", ""), ("vflip", ""))
TURNS: tuple[tuple[Filter, ...], ...] = ((), CLOCK, COUNTERCLOCK, HALF)


def shape_of(stream: Any, frame: Any) -> Shape:
    """The shape of a stream, from its first frame. Like browsers, wide pixels make the picture wider, narrow ones
    higher."""
    stretch = Fraction(stream.sample_aspect_ratio or 1)
    if not Fraction(1, MAX_STRETCH) <= stretch <= MAX_STRETCH:
        stretch = Fraction(1)
    width, height = round(frame.width * max(stretch, 1)), round(frame.height / min(stretch, 1))
    transforms = transforms_of(frame)
    shape = Shape(width, height, stretch, transforms)
    return shape._replace(width=height, height=width) if shape.lies else shape


def transforms_of(frame: Any) -> tuple[Filter, ...]:
    """The filters that turn a frame upright, from its display matrix (ISO/IEC 14496-12, 6.2.2)."""
    data = next((bytes(data) for data in frame.side_data if data.type == Type.DISPLAYMATRIX), b"")
    if len(data) != 36:
        return ()
    a, b, _, c, d, *_ = struct.unpack("=9i", data)
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return tuple(flip for flip, needed in zip(HALF, (a < 0, d < 0), strict=True) if needed)
    if (b > 0) != (c > 0):
        return CLOCK if b > 0 else COUNTERCLOCK
    return (("transpose", "clock_flip" if b < 0 else "cclock_flip"),)


class Colours(NamedTuple):
    """Code points of ITU-T H.273; never `unspecified`."""

    primaries: int
    transfer: int
    matrix: int
    range: int

    @property
    def is_hdr(self) -> bool:
        return self.transfer in (PQ, HLG)


def colours_of(frame: Any) -> Colours:
    """The colours that a frame states; for those it leaves out, the ones that players assume."""
    usual = BT709 if frame.height >= HD_HEIGHT or frame.width >= HD_HEIGHT * 16 // 9 else SMPTE170M
    if frame.color_trc in (PQ, HLG):
        usual = BT2020
    primaries, transfer, matrix = frame.color_primaries, frame.color_trc, frame.colorspace
    return Colours(
        usual if primaries in (0, UNSPECIFIED) else primaries,
        (SMPTE170M if usual == SMPTE170M else BT709) if transfer in (0, UNSPECIFIED) else transfer,
        usual if matrix == UNSPECIFIED or (matrix == 0 and not frame.format.is_rgb) else matrix,
        frame.color_range or LIMITED,
    )


def first_frames(container: Any, stream: Any, count: int) -> Iterator[Any]:
    """Up to `count` frames, at least one. None is kept, since eight of 4K take 200 MB. Raises Refused if none can be
    decoded."""
    found = 0
    for packet in demux(container, [stream]):
        for frame in decode(packet):
            yield frame
            found += 1
            if found == count:
                return
    if not found:
        raise Refused("BROKEN", "cannot be decoded")
