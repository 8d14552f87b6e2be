"""Background tasks: they run beside a block, and each has a keeper that restarts it when it fails.

A task handles the errors that it knows, such as a server that is away. Any other error ends the task. It is then
logged with its traceback, counted, and the task is started again after a jittered, growing pause; the process is
not ready in the meantime. A task that keeps failing ends its process, so that whatever supervises it notices.
"""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from time import monotonic
from typing import Any

import structlog
from prometheus_client import Counter, Gauge

MIN_PAUSE, MAX_PAUSE = 0.2, 30.0  # seconds before a restart; the pause doubles with each failure
STEADY_SECONDS = 60.0  # a run of this length resets the failures before it
GIVE_UP_SECONDS = 300.0  # from the first failure to the end of the process, about 15 restarts

RESTARTS = Counter("hitok_background_restarts", "Background tasks that failed and were restarted", ["task"])
DUE = Gauge("hitok_background_due_timestamp_seconds", "When a task has to have come round again, Unix time", ["task"])
_running: ContextVar[str] = ContextVar("background_task", default="")
log = structlog.get_logger("background")

Factory = Callable[[], Coroutine[Any, Any, None]]


class Keeper:
    """Runs one task, restarting it on failure, until it returns or is cancelled."""

    def __init__(
        self,
        name: str,
        factory: Factory,
        give_up: Callable[[], None],
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`factory` creates the coroutine for each run; `give_up` is called after GIVE_UP_SECONDS of failures."""
        self.name, self._factory, self._give_up, self._clock, self._sleep = name, factory, give_up, clock, sleep
        self._pause = MIN_PAUSE
        self._failing_since: float | None = None
        self._down_until = 0.0

    def is_down(self) -> bool:
        """True from a failure until the restarted task has run as long as the pause before it."""
        return self._clock() < self._down_until

    async def keep(self) -> None:
        RESTARTS.labels(self.name)
        _running.set(self.name)
        while True:
            started = self._clock()
            try:
                await self._factory()
                self._down_until = 0.0
                return
            except (Exception, asyncio.CancelledError) as error:
                if _is_cancelled():
                    raise
                if not self._may_restart(error, started):
                    return
            pause = self._next_pause()
            await self._sleep(pause)
            RESTARTS.labels(self.name).inc()
            self._down_until = self._clock() + pause

    def _may_restart(self, error: BaseException, started: float) -> bool:
        now = self._clock()
        if now - started >= STEADY_SECONDS or self._failing_since is None:
            self._pause, self._failing_since = MIN_PAUSE, now
        failing, self._down_until = now - self._failing_since, float("inf")
        log.error("background task failed", task=self.name, failing_seconds=round(failing), exc_info=error)
        if failing >= GIVE_UP_SECONDS:
            self._give_up()
        return failing < GIVE_UP_SECONDS

    def _next_pause(self) -> float:
        pause = self._pause * random.uniform(0.5, 1.0)  # noqa: S311
        self._pause = min(self._pause * 2, MAX_PAUSE)
        return pause


def until(seconds: float) -> float:
    """Seconds until the next multiple of `seconds` on the clock of this machine, less a tenth at least. What is done
    every second or so is done at one moment by all processes: to wake costs more than the work."""
    left = seconds - monotonic() % seconds
    return left if left > seconds / 10 else left + seconds


def come_round(seconds: float = 120.0) -> None:
    """A background task says that it goes on, and will say so again within `seconds`: one that hangs is noticed."""
    if name := _running.get():
        DUE.labels(name).set(time.time() + seconds)


_keepers: set[Keeper] = set()  # of this process
_troubles: set[str] = set()
_gave_up = False


def is_steady(whole: bool = False) -> bool:
    """Whether every background task of this process runs, else the process is not ready; `whole`: and can work."""
    return not (whole and _troubles) and not any(keeper.is_down() for keeper in _keepers)


def set_trouble(what: str, present: bool) -> None:
    """A task runs, but cannot do its work. The process stays ready (docs/adr/0016-readiness-says-serving.md)."""
    if present and what not in _troubles:
        log.error("in trouble", trouble=what)
        _troubles.add(what)
    elif not present:
        _troubles.discard(what)


def gave_up() -> bool:
    """Whether a task has ended this process, which then exits with a code other than 0."""
    return _gave_up


def end_process() -> None:
    """Stops the process as SIGTERM does, so that it ends in order."""
    global _gave_up
    _gave_up = True
    os.kill(os.getpid(), signal.SIGTERM)


@asynccontextmanager
async def run(**tasks: Factory) -> AsyncIterator[None]:
    """Runs the named tasks while the block runs, then cancels them and waits until they have ended."""
    keepers = [Keeper(name, factory, end_process) for name, factory in tasks.items()]
    _keepers.update(keepers)
    running = [asyncio.create_task(keeper.keep()) for keeper in keepers]
    try:
        yield
    finally:
        await asyncio.gather(*map(cancel, running), return_exceptions=True)
        _keepers.difference_update(keepers)


async def cancel(task: asyncio.Task[None]) -> None:
    """Cancels until the task ends: before Python 3.12 asyncio.wait_for may swallow a cancellation."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.2)
    with suppress(asyncio.CancelledError):
        await task


def _is_cancelled() -> bool:
    """Whether this task itself is being cancelled. If not, the cancellation came from something that it awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
