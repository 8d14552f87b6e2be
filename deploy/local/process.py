"""A process that is watched, and started again when it ends."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from deploy.local.errors import LocalError

FIRST_PAUSE, LONGEST_PAUSE = 0.3, 10.0
STEADY_SECONDS = 30
SLOW_SECONDS = 30
POLL_SECONDS, HEALTH_SECONDS = 0.1, 5


class Display(Protocol):
    def show(self, process: "Process") -> None:
        """Its state has changed."""

    def say(self, text: str) -> None: ...

    def close(self) -> None: ...


class Process(ABC):
    """`state` is for people; `ready` is set for good when it was healthy for the first time."""

    def __init__(self, name: str, ports: Sequence[int], log: Path, display: Display) -> None:
        self.name = name
        self.ports = ports
        self.log = log
        self.state = "waiting"
        self.restarts = 0
        self.ready = asyncio.Event()
        self._display = display

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

    @abstractmethod
    def explain_exit(self) -> str:
        """For the user. Raises LocalError if starting it again cannot help."""

    @abstractmethod
    async def stop(self) -> None: ...

    @abstractmethod
    def kill(self) -> None: ...

    def change(self, state: str) -> None:
        if state != self.state:
            self.state = state
            self._display.show(self)

    async def keep(self) -> None:
        """Never returns; cancel it. Raises LocalError if its first start cannot succeed."""
        pause = FIRST_PAUSE
        while True:
            try:
                steady = await self._live() >= STEADY_SECONDS
                self._display.say(self.explain_exit())
            except LocalError as error:
                if not self.ready.is_set():
                    raise
                steady = False
                self._display.say(str(error))
            pause = FIRST_PAUSE if steady else pause
            self.change(f"restart in {pause:.1f} s")
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            self.restarts += 1

    async def _live(self) -> float:
        """From its start to its end; returns how long it lived since it was first healthy."""
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
                self._display.say(f"{self.name} is not ready after {SLOW_SECONDS} s; its log is {self.log}")
            await wait_for_exit(self, HEALTH_SECONDS if healthy else POLL_SECONDS)
        return max(0.0, time.monotonic() - healthy_since)


class Ending(Protocol):
    @property
    def exit_code(self) -> int | None: ...


async def wait_for_exit(process: Ending, longest: float) -> bool:
    """Whether it ended within `longest` seconds."""
    for _ in range(max(1, round(longest / POLL_SECONDS))):
        if process.exit_code is not None:
            return True
        await asyncio.sleep(POLL_SECONDS)
    return process.exit_code is not None
