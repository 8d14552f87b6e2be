"""Every background task: one that raises makes its process unready, is started again, and works as before.

A new task gets a row here: its name in the metric, and the method to break once.
"""

import asyncio
from typing import Any

import pytest
from prometheus_client import REGISTRY

from gateway.cache.invalidation import Invalidation
from gateway.chat.presence_reporter import PresenceReporter
from gateway.ws import reconciler
from gateway.ws.push_subscriber import PushSubscriber
from gateway.ws.reconciler import Reconciler
from services.kit import background
from tests.support.gateway import FrontEnd, gateway_settings, running_gateway
from tests.support.servers import Servers

GATEWAY_TASKS: list[tuple[str, type[Any], str]] = [
    ("invalidation", Invalidation, "_try_to_subscribe"),
    ("presence_refresh", PresenceReporter, "_refresh_for_ever"),
    ("push_subscription", PushSubscriber, "_subscribe"),
    ("relist_after_gap", Reconciler, "_relist_after_gap"),
    ("check_revs", Reconciler, "_check_revs"),
    ("check_sessions", Reconciler, "_check_sessions"),
    ("presence_refresh", PresenceReporter, "_refresh_for_ever"),
]


@pytest.mark.parametrize(("task", "owner", "method"), [pytest.param(*row, id=row[0]) for row in GATEWAY_TASKS])
async def test_a_task_of_the_gateway_that_raises_comes_back(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, task: str, owner: type[Any], method: str
) -> None:
    monkeypatch.setattr(reconciler, "CHECK_SECONDS", 0.05)
    working, calls, works = getattr(owner, method), 0, asyncio.Event()

    async def fails_once(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("a bug")
        works.set()
        return await working(*arguments)

    monkeypatch.setattr(owner, method, fails_once)
    before = restarts(task)
    async with running_gateway(gateway_settings(servers)) as running:
        running.container.met = True
        front = FrontEnd(running.http)
        await until_ready_is(front, 503)
        await asyncio.wait_for(works.wait(), 30)
        await until_ready_is(front, 200)
        assert restarts(task) == before + 1
    assert background.is_steady()


async def until_ready_is(front: FrontEnd, status: int) -> None:
    async with asyncio.timeout(30):
        while (await front.call("GET", "/health/ready")).status_code != status:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def restarts(task: str) -> float:
    return REGISTRY.get_sample_value("hitok_background_restarts_total", {"task": task}) or 0.0
