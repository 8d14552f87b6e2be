"""64-bit time-ordered ids: 41 bits of milliseconds, 10 of node, 12 of sequence."""

import time
from collections.abc import Callable
from typing import Annotated

from msgspec import Meta

EPOCH_MS = 1_735_689_600_000  # 2025-01-01T00:00:00Z
NODE_BITS, SEQUENCE_BITS = 10, 12
MAX_ID = 2**63 - 1
Id = Annotated[int, Meta(ge=0, le=MAX_ID)]  # what the database takes


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class IdGenerator:
    """Generates ids that increase within a process and never equal those of another node."""

    def __init__(self, node: int, clock: Callable[[], int] = _now_ms) -> None:
        if not 0 <= node < 1 << NODE_BITS:
            raise ValueError(f"node {node} does not fit {NODE_BITS} bits")
        self._node, self._clock = node, clock
        self._ms, self._sequence = 0, 0

    def __call__(self) -> int:
        now = self._clock() - EPOCH_MS
        if now > self._ms:
            self._ms, self._sequence = now, 0
        else:
            # The same millisecond, or the clock was set back: continue from the last id, borrowing
            # milliseconds from the future rather than waiting.
            self._sequence += 1
            if self._sequence >> SEQUENCE_BITS:
                self._ms, self._sequence = self._ms + 1, 0
        return (self._ms << (NODE_BITS + SEQUENCE_BITS)) | (self._node << SEQUENCE_BITS) | self._sequence
