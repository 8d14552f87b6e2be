"""A socket's requests under way: those of one line in the order they came, lines side by side."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable

MAX_PENDING = 32

Job = Callable[[], Awaitable[None]]


class Lines:
    __slots__ = ("_lines", "_tasks", "pending")

    def __init__(self) -> None:
        self._lines: dict[Hashable, deque[Job]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.pending = 0

    @property
    def is_full(self) -> bool:
        return self.pending >= MAX_PENDING

    def put(self, line: Hashable, job: Job) -> None:
        """`job` must not raise."""
        self.pending += 1
        waiting = self._lines.get(line)
        if waiting is not None:
            waiting.append(job)
            return
        self._lines[line] = deque((job,))
        task = asyncio.create_task(self._run(line))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, line: Hashable) -> None:
        waiting = self._lines[line]
        while waiting:
            await waiting[0]()
            waiting.popleft()
            self.pending -= 1
        del self._lines[line]
