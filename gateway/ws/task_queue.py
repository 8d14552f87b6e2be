"""Runs a socket's requests: those with the same key one after the other, those with different keys side by side."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable

MAX_PENDING = 32

Job = Callable[[], Awaitable[None]]


class KeyedTaskQueue:
    __slots__ = ("_running", "pending")

    def __init__(self) -> None:
        self._running: dict[Hashable, tuple[asyncio.Task[None], deque[Job]]] = {}  # the event loop holds tasks weakly
        self.pending = 0

    @property
    def is_full(self) -> bool:
        return self.pending >= MAX_PENDING

    def put(self, key: Hashable, job: Job) -> None:
        """Runs `job` after the earlier ones with the same key. `job` must not raise."""
        self.pending += 1
        if key in self._running:
            self._running[key][1].append(job)
            return
        jobs = deque((job,))
        self._running[key] = asyncio.create_task(self._run(key, jobs)), jobs

    async def _run(self, key: Hashable, jobs: deque[Job]) -> None:
        while jobs:
            await jobs[0]()
            jobs.popleft()
            self.pending -= 1
        del self._running[key]
