"""Runs a socket's requests: those with the same key one after the other, those with different keys side by side."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable

MAX_PENDING = 32

Job = Callable[[], Awaitable[None]]


class KeyedTaskQueue:
    __slots__ = ("_jobs", "_tasks", "pending")

    def __init__(self) -> None:
        self._jobs: dict[Hashable, deque[Job]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.pending = 0

    @property
    def is_full(self) -> bool:
        return self.pending >= MAX_PENDING

    def put(self, key: Hashable, job: Job) -> None:
        """Runs `job` after the earlier ones with the same key. `job` must not raise."""
        self.pending += 1
        jobs = self._jobs.get(key)
        if jobs is not None:
            jobs.append(job)
            return
        self._jobs[key] = deque((job,))
        task = asyncio.create_task(self._run(key))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, key: Hashable) -> None:
        jobs = self._jobs[key]
        while jobs:
            await jobs[0]()
            jobs.popleft()
            self.pending -= 1
        del self._jobs[key]
