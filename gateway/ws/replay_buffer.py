"""Keeps the last events of all conversations, for sockets that are between their hello and `ready`."""

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

MAX_EVENTS = 4_096
MAX_BYTES = 8 * 1024 * 1024


class Event(NamedTuple):
    """A durable event. `seq`: the message that it shows; 0 if it shows none."""

    conversation_id: int
    rev: int
    frame: bytes
    seq: int = 0


class ReplayBuffer:
    """`position` counts the events so far. A reader notes it, and asks `since` for what came after it."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._size = 0
        self.position = 0

    @property
    def events(self) -> Sequence[Event]:
        """All that are kept, the oldest first."""
        return list(self._events)

    def add(self, event: Event) -> None:
        self._events.append(event)
        self._size += len(event.frame)
        self.position += 1
        while len(self._events) > MAX_EVENTS or self._size > MAX_BYTES:
            self._size -= len(self._events.popleft().frame)

    def since(self, position: int) -> Sequence[Event] | None:
        """The events after `position`; None if some of them were dropped."""
        missed = self.position - position
        if missed > len(self._events):
            return None
        return list(islice(reversed(self._events), missed))[::-1]
