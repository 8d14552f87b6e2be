"""The state of one run of the demo: its story, the users that are logged in, and what was added so far."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from deploy.demo.story import Person, SeededChoices, Story
from deploy.frontend import FrontEnd

AT_ONCE = 8  # requests; the demo is not meant as a load test
T = TypeVar("T")


class DemoError(Exception):
    """Ends the run. The text says how to fix it."""


class Visitor(FrontEnd):
    """Also waits for a service that is away or busy for a moment."""

    waits_for = frozenset({429, 503})


class DemoUser(Visitor):
    """A person of the story, with their login."""

    person: Person
    id: str
    username: str
    has_email: bool


class Progress(Protocol):
    def begin(self, phase: str, steps: int) -> None: ...

    def advance(self, phase: str) -> None: ...


@dataclass
class DemoRun:
    story: Story
    choices: SeededChoices
    progress: Progress
    users: dict[str, DemoUser] = field(default_factory=dict)
    added: Counter[str] = field(default_factory=Counter)

    async def for_each(
        self, phase: str, step: Callable[[T], Awaitable[None]], items: Iterable[T], at_once: int = AT_ONCE
    ) -> None:
        """Runs `step` for each item, `at_once` of them concurrently. The first that fails cancels the others."""
        todo, places = list(items), asyncio.Semaphore(at_once)
        self.progress.begin(phase, len(todo))

        async def take(item: T) -> None:
            async with places:
                await step(item)
            self.progress.advance(phase)

        async with asyncio.TaskGroup() as tasks:
            for item in todo:
                tasks.create_task(take(item))
