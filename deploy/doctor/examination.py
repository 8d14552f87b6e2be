"""Checks, each with its deadline, and what came of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from deploy.deployment import Deployment
from services.kit.config import ConfigError, ServiceSettings, Settings


class Fault(Exception):
    """What is wrong, and what to do about it."""


class Concern(Exception):
    """It works, but somebody should look."""


class State(Enum):
    GOOD, CONCERN, FAULT, SKIPPED = "ok", "look", "FAULT", "skipped"


class Finding(NamedTuple):
    name: str
    state: State
    text: str


@dataclass
class Patient:
    """`settings` are filled in by the first check, those that can be read."""

    deployment: Deployment
    settings: dict[str, Settings] = field(default_factory=dict)

    def service(self, name: str) -> ServiceSettings:
        settings = self.settings[name]
        assert isinstance(settings, ServiceSettings)
        return settings


class Check(NamedTuple):
    """`look` returns what is good, or raises Fault or Concern. Without those it `needs` it is skipped."""

    name: str
    look: Callable[[Patient], Awaitable[str]]
    seconds: float
    needs: Collection[str] = ()


async def examine(patient: Patient, checks: Sequence[Check]) -> AsyncIterator[Finding]:
    failed: set[str] = set()
    for check in checks:
        missing = sorted(failed.intersection(check.needs))
        finding = Finding(check.name, State.SKIPPED, f"needs {missing[0]}") if missing else await _look(patient, check)
        if finding.state in (State.FAULT, State.SKIPPED):
            failed.add(check.name)
        yield finding


async def _look(patient: Patient, check: Check) -> Finding:
    try:
        async with asyncio.timeout(check.seconds):
            return Finding(check.name, State.GOOD, await check.look(patient))
    except (Fault, ConfigError) as fault:
        return Finding(check.name, State.FAULT, str(fault))
    except Concern as concern:
        return Finding(check.name, State.CONCERN, str(concern))
    except TimeoutError:
        return Finding(check.name, State.FAULT, f"no answer in {check.seconds:.0f} s")
