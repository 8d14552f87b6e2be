"""A process that is watched, and restarted when it ends."""

import asyncio
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Protocol

from deploy.local.errors import LocalError

FIRST_PAUSE, LONGEST_PAUSE = 0.3, 10.0  # seconds
HEALTHY_PAUSE = 0.6  # the longest after a life in which it was healthy: it was killed, or met something rare
STEADY_SECONDS = 10
SLOW_SECONDS = 30
POLL_SECONDS, HEALTH_SECONDS = 0.1, 60


class Display(Protocol):
    def show(self, process: "Process") -> None:
        """Called when the state of the process has changed."""

    def say(self, text: str) -> None: ...

    def close(self) -> None: ...


class Process(ABC):
    """A process of a run. `state` is text for the display. `ready` is set once the process was healthy for the first
    time."""

    longest_pause: ClassVar[float] = LONGEST_PAUSE

    def __init__(
        self, name: str, ports: Sequence[int], log: Path, display: Display, *, stops_first: bool = False
    ) -> None:
        """`stops_first`: before the others of its kind, which it needs until then."""
        self.name = name
        self.stops_first = stops_first
        self.ports = ports
        self.log = log
        self.state = "waiting"
        self.restarts = 0
        self.ready = asyncio.Event()
        self._display = display
        self._restarting = asyncio.Event()
        self._may_start = asyncio.Event()
        self._may_start.set()

    @property
    @abstractmethod
    def pid(self) -> int | None: ...

    @property
    @abstractmethod
    def exit_code(self) -> int | None:
        """None while it runs."""

    @abstractmethod
    async def launch(self) -> None: ...

    @abstractmethod
    async def is_healthy(self) -> bool: ...

    async def name_missing(self) -> str:
        """What the process waits for before it is healthy; "" if unknown."""
        return ""

    @abstractmethod
    def explain_exit(self) -> str:
        """A sentence for the user. Raises LocalError if restarting cannot help."""

    @abstractmethod
    async def stop(self) -> None: ...

    @abstractmethod
    def kill(self) -> None: ...

    @property
    def port_list(self) -> str:
        return ", ".join(map(str, self.ports))

    def change(self, state: str) -> None:
        if state != self.state:
            self.state = state
            self._display.show(self)

    async def keep(self) -> None:
        """Starts the process, and restarts it with growing pauses. Runs until cancelled. Raises LocalError if the first
        start cannot succeed."""
        pause = FIRST_PAUSE
        while True:
            await self._may_start.wait()
            self._restarting.clear()
            try:
                lived = await self._live()
                if self._restarting.is_set():
                    continue
                self._display.say(self.explain_exit())
            except LocalError as error:
                if not self.ready.is_set():
                    raise
                lived = 0.0
                self._display.say(str(error))
            pause = shorten(pause, lived)
            self.change(f"restart in {pause:.1f} s")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._restarting.wait(), pause)
            pause = min(2 * pause, self.longest_pause)
            self.restarts += 1

    async def restart(self, *, held: bool) -> None:
        """Stops the process and starts it again at once. `held`: not before the next call."""
        self._may_start.clear()
        self._restarting.set()
        await self.stop()
        if not held:
            self._may_start.set()

    async def _live(self) -> float:
        """Runs the process once. Returns for how many seconds it lived after it was healthy."""
        self.change("starting")
        await self.launch()
        began, slow = time.monotonic(), False
        healthy_since = float("inf")
        while self.exit_code is None:
            if healthy := await self.is_healthy():
                healthy_since = min(healthy_since, time.monotonic())
                self.ready.set()
            if healthy or healthy_since < float("inf"):
                self.change("healthy" if healthy else "not answering")
            elif not slow and time.monotonic() - began > SLOW_SECONDS:
                slow = True
                waits = f": it waits for {what}" if (what := await self.name_missing()) else ""
                self._display.say(f"{self.name} is not ready after {SLOW_SECONDS} s{waits}; its log is {self.log}")
            await wait_for_exit(self, HEALTH_SECONDS if healthy else POLL_SECONDS)
        return max(0.0, time.monotonic() - healthy_since)


def shorten(pause: float, lived: float) -> float:
    """The pause before the next start of what ended after it was healthy for `lived` seconds; 0: it never was."""
    if lived >= STEADY_SECONDS:
        return FIRST_PAUSE
    return min(pause, HEALTHY_PAUSE) if lived else pause


class Ending(Protocol):
    @property
    def pid(self) -> int | None: ...

    @property
    def exit_code(self) -> int | None: ...


async def wait_for_exit(process: Ending, longest: float) -> bool:
    """Whether it ended within `longest` seconds. Linux tells of the end; elsewhere it is looked for."""
    deadline = time.monotonic() + longest
    while process.exit_code is None and (left := deadline - time.monotonic()) > 0:
        if sys.platform == "linux" and (pid := process.pid):
            await _wait_on(pid, left)
        else:
            await asyncio.sleep(min(POLL_SECONDS, left))
    return process.exit_code is not None


async def _wait_on(pid: int, longest: float) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:  # it has ended, or this kernel or sandbox has none
        await asyncio.sleep(min(POLL_SECONDS, longest))
        return
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), longest)
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def describe(exit_code: int | None) -> str:
    return f"killed by signal {-exit_code}" if exit_code and exit_code < 0 else f"exit code {exit_code}"
