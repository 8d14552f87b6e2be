"""The last events that came by, for those who were not listening yet: sockets between their hello and `ready`."""

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

MAX_EVENTS = 4_096
MAX_BYTES = 8 * 1024 * 1024


class Event(NamedTuple):
    """`seq` is that of the message it shows; 0: none."""

    conversation_id: int
    rev: int
    frame: bytes
    seq: int = 0


class Recent:
    """`position` names the moment; `since` gives what came after one, or None if not all of it is kept."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._size = 0
        self.position = 0

    @property
    def kept(self) -> Sequence[Event]:
        return list(self._events)

    def add(self, event: Event) -> None:
        self._events.append(event)
        self._size += len(event.frame)
        self.position += 1
        while len(self._events) > MAX_EVENTS or self._size > MAX_BYTES:
            self._size -= len(self._events.popleft().frame)

    def since(self, position: int) -> Sequence[Event] | None:
        missed = self.position - position
        if missed > len(self._events):
            return None
        return list(islice(reversed(self._events), missed))[::-1]
