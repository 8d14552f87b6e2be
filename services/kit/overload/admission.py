"""Admission: an overloaded process refuses new requests at once, instead of letting all of them wait
(docs/adr/0014-overload-is-refused.md).

The number of requests that a process works on at the same time has a limit, which follows the queues in it: for the
event loop, and for a connection to the database. If the mean wait in one of them was beyond the target for an interval,
the limit shrinks; while none is, it grows back, and beyond if it is nearly used. Reads are refused before writes.
"""

import asyncio
from enum import IntEnum
from time import monotonic, perf_counter

from prometheus_client import Counter, Gauge

# Requests: the bounds of the limit, and where it begins. 64 clients with one request each are never refused.
LEAST, FIRST, MOST = 96, 256, 4_096
INTERVAL = 0.1  # seconds between two changes of the limit
TICK = 0.02  # seconds between two measurements of the event loop's queue
SHRINK, GROW = 0.85, 1.1  # factors per interval
CREEP, CREEP_SECONDS = 2.0, 3.0  # requests per interval, for so long after a queue stood, where it stood
CROWDED, SLOW = 0.2, 0.5  # a queue's share of the target, and mean seconds of requests: beyond both the limit stays
READ_SHARE = 0.75  # of the limit, for reads: the rest is for writes alone
RETRY_AFTER = 1.0  # seconds

LIMIT = Gauge("hitok_admission_limit", "Requests that this process works on at the same time, at most")
ADMITTED = Gauge("hitok_admitted", "Requests that this process works on")
SHED = Counter("hitok_shed", "Requests refused because this process is overloaded", ["rank"])


class Rank(IntEnum):
    READ = 0
    WRITE = 1


SHED_BY_RANK = [SHED.labels(rank.name.lower()) for rank in Rank]


class Admission:
    """Admits everything until `start` is called."""

    def __init__(self) -> None:
        self.limit = float(FIRST)
        self.admitted = 0
        self._target = 0.0  # seconds that a queue may hold a request; 0: off
        self._most_admitted = self._left = 0  # in this interval
        self._waits: dict[str, list[float]] = {}  # in this interval, by queue: their number and sum
        self._interval_ends = 0.0
        self._creeps_above, self._creeps_until = 0.0, 0.0
        self._ticking = False

    def start(self, target: float) -> None:
        """`target` in seconds; 0: never refuse."""
        self._target = target
        LIMIT.set_function(lambda: self.limit)
        ADMITTED.set_function(lambda: self.admitted)

    def enter(self, rank: Rank) -> bool:
        """Whether the request may begin; then `leave` has to be called at its end."""
        if self.is_full_for(rank):
            self.count_refused(rank)
            return False
        if self._target and not self._ticking:
            self._start_ticking()
        self.admitted += 1
        if self.admitted > self._most_admitted:
            self._most_admitted = self.admitted
        return True

    def is_full_for(self, rank: Rank) -> bool:
        return self._target > 0 and self.admitted >= self.limit * (1 if rank else READ_SHARE)

    def count_refused(self, rank: Rank) -> None:
        SHED_BY_RANK[rank].inc()

    def leave(self) -> None:
        self.admitted -= 1
        self._left += 1

    def waited(self, queue: str, seconds: float) -> None:
        """Something has waited so long in the queue of that name."""
        waits = self._waits.setdefault(queue, [0, 0.0])
        waits[0] += 1
        waits[1] += seconds

    def _start_ticking(self) -> None:
        self._ticking = True
        self._most_admitted, self._left = self.admitted, 0
        self._waits.clear()
        self._interval_ends = monotonic() + INTERVAL
        self._ask()

    def _ask(self) -> None:
        asyncio.get_running_loop().call_later(TICK, self._tick, perf_counter() + TICK)

    def _tick(self, due: float) -> None:
        """Measures the event loop: how long what is ready to run has to wait for its turn."""
        self.waited("loop", max(perf_counter() - due, 0.0))
        if monotonic() >= self._interval_ends:
            busy = self._most_admitted > 0
            self.adjust()
            self._interval_ends = monotonic() + INTERVAL
            if not busy:
                self._ticking = False
                return
        self._ask()

    def adjust(self) -> None:
        """Ends an interval, and moves the limit."""
        now = monotonic()
        wait = max((total / number for number, total in self._waits.values()), default=0.0)
        crowded = wait > self._target * CROWDED and self._most_admitted * INTERVAL > self._left * SLOW
        if wait > self._target:
            self.limit = max(min(self.limit, self._most_admitted) * SHRINK, LEAST)
            self._creeps_above, self._creeps_until = self.limit, now + CREEP_SECONDS
        elif self.limit < FIRST or (self._most_admitted > self.limit / 2 and not crowded):
            creeps = now < self._creeps_until and self.limit >= self._creeps_above
            self.limit = min(self.limit + CREEP if creeps else self.limit * GROW + 1, MOST)
        self._waits.clear()
        self._most_admitted, self._left = self.admitted, 0


HERE = Admission()  # of this process
