"""Joins the pieces of a recording whose clock jumps: where a recorder paused, or files were put one after another."""

from fractions import Fraction
from typing import Any

BACK, AHEAD = Fraction(-1, 10), Fraction(10)  # seconds between packets of a stream, beyond which its clock has jumped
SAME = Fraction(1)  # seconds within which two streams are taken to have jumped together


class Timeline:
    """Shifts the times of packets so that what follows a jump begins where what was before it ends, as FFmpeg does."""

    def __init__(self) -> None:
        self._next: dict[int, Fraction] = {}  # what the clock of each stream should show next
        self._shifts: dict[int, Fraction] = {}
        self._last = Fraction(0)  # the shift after the last jump of any stream

    def place(self, packet: Any) -> None:
        if packet.dts is None:
            return
        stream, shown = packet.stream.index, packet.dts * packet.time_base
        awaited, shift = self._next.get(stream, shown), self._shifts.get(stream, self._last)
        if not BACK <= shown - awaited <= AHEAD:
            needed = awaited + shift - shown
            shift = self._last = self._last if abs(self._last - needed) < SAME else needed
        self._shifts[stream] = shift
        self._next[stream] = shown + (packet.duration or 0) * packet.time_base
        ticks = round(shift / packet.time_base)
        packet.dts += ticks
        packet.pts = None if packet.pts is None else packet.pts + ticks
