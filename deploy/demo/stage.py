"""What every act works with: the story, the drawn lots, who is logged in, and what was added so far."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from deploy.demo.story import Draw, Person, Story
from deploy.frontend import FrontEnd

AT_ONCE = 8  # requests: a demo is no load test
T = TypeVar("T")


class DemoError(Exception):
    """Ends the run; its text names the remedy."""


class Player(FrontEnd):
    """A person of the story, logged in."""

    person: Person
    id: str
    username: str
    has_email: bool


class Progress(Protocol):
    def begin(self, act: str, steps: int) -> None: ...

    def advance(self, act: str) -> None: ...


@dataclass
class Stage:
    story: Story
    draw: Draw
    progress: Progress
    players: dict[str, Player] = field(default_factory=dict)
    added: Counter[str] = field(default_factory=Counter)

    async def perform(
        self, act: str, step: Callable[[T], Awaitable[None]], whats: Iterable[T], at_once: int = AT_ONCE
    ) -> None:
        """The step for each of them, side by side. The first that fails ends the others."""
        todo, places = list(whats), asyncio.Semaphore(at_once)
        self.progress.begin(act, len(todo))

        async def take(what: T) -> None:
            async with places:
                await step(what)
            self.progress.advance(act)

        async with asyncio.TaskGroup() as tasks:
            for what in todo:
                tasks.create_task(take(what))
