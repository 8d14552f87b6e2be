"""Copies packets from one container to another without decoding them."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from services.media.processing.sandbox import sources

MAX_HELD = 64  # packets without a decoding time before the first that has one


class Uncopyable(Exception):
    """The packets carry no presentation times, which only decoding can recover."""


class Copy:
    """One stream of the output, filled with packets of another stream. Shifts their times by `start` seconds, and adds
    the decoding times that the container leaves out (Matroska has none)."""

    def __init__(self, output: Any, stream: Any, start: Fraction) -> None:
        self._stream = output.add_stream_from_template(stream, opaque=True)
        self._shift = round(start / stream.time_base)
        self._held: list[Any] = []
        self._begun = False

    def take(self, packet: Any) -> Iterator[Any]:
        """Yields the packets to write. Raises Uncopyable."""
        if not packet.size:
            yield from map(self._own, self._release(None))
            return
        if packet.pts is None:
            raise Uncopyable
        packet.pts -= self._shift
        if packet.dts is not None:
            packet.dts -= self._shift
            yield from map(self._own, [*self._release(packet), packet])
        elif not self._begun and len(self._held) < MAX_HELD:
            self._held.append(packet)
        else:
            raise Uncopyable

    def _release(self, first: Any) -> list[Any]:
        """The packets held so far, with decoding times that lead up to that of `first`, the first packet that has
        one."""
        held, self._held, self._begun = self._held, [], True
        if held:
            step = max(held[0].duration or 1, 1)
            last = first.dts - step if first else max(packet.pts for packet in held)
            last = min(last, *(packet.pts + step * (len(held) - 1 - n) for n, packet in enumerate(held)))
            for number, packet in enumerate(held):
                packet.dts = last - step * (len(held) - 1 - number)
        return held

    def _own(self, packet: Any) -> Any:
        packet.stream = self._stream
        return packet


def copy(container: Any, streams: list[Any], output: Any) -> None:
    """Copies the streams to the output. Raises Uncopyable, and what PyAV raises for a broken file."""
    start = sources.start_of(container)
    copies = {stream.index: Copy(output, stream, start) for stream in streams}
    for packet in sources.demux(container, streams):
        for copied in copies[packet.stream.index].take(packet):
            output.mux(copied)
