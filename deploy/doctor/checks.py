"""Runs checks, each with a deadline, and collects what they found."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from deploy.deployment import Deployment
from services.kit.config import ConfigError, ServiceSettings, Settings


class Fault(Exception):
    """Something is wrong. The text says what, and how to fix it."""


class Concern(Exception):
    """It works, but an operator should look at it."""


class State(Enum):
    GOOD, CONCERN, FAULT, SKIPPED = "ok", "warning", "FAULT", "skipped"


class Finding(NamedTuple):
    name: str
    state: State
    text: str


@dataclass
class CheckContext:
    """The state that the checks share. The first check fills `settings`, by process name, with those it could read."""

    deployment: Deployment
    settings: dict[str, Settings] = field(default_factory=dict)

    def service(self, name: str) -> ServiceSettings:
        settings = self.settings[name]
        assert isinstance(settings, ServiceSettings)
        return settings


class Check(NamedTuple):
    """`run` returns a sentence about what works, or raises Fault or Concern.

    The check is skipped if one that it `needs` found a fault or was skipped.
    """

    name: str
    run: Callable[[CheckContext], Awaitable[str]]
    seconds: float
    needs: Collection[str] = ()


async def run_checks(context: CheckContext, checks: Sequence[Check]) -> AsyncIterator[Finding]:
    failed: set[str] = set()
    for check in checks:
        missing = sorted(failed.intersection(check.needs))
        finding = Finding(check.name, State.SKIPPED, f"needs {missing[0]}") if missing else await _run(context, check)
        if finding.state in (State.FAULT, State.SKIPPED):
            failed.add(check.name)
        yield finding


async def _run(context: CheckContext, check: Check) -> Finding:
    try:
        async with asyncio.timeout(check.seconds):
            return Finding(check.name, State.GOOD, await check.run(context))
    except (Fault, ConfigError) as fault:
        return Finding(check.name, State.FAULT, str(fault))
    except Concern as concern:
        return Finding(check.name, State.CONCERN, str(concern))
    except TimeoutError:
        return Finding(check.name, State.FAULT, f"no answer in {check.seconds:.0f} s")
    except Exception as error:  # whatever a check did not expect, the others go on; its text may hold a password
        return Finding(check.name, State.FAULT, f"the check itself failed: {type(error).__name__}. Please report that")
