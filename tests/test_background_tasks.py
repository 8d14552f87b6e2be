"""Makes every background task of every process raise, and checks that it comes back.

A row names a task, as `background.run` knows it, and a function that the task calls. The function raises until the task
has been restarted. A task without a row fails the test.
"""

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import structlog
from nats.aio.client import Client
from prometheus_client import REGISTRY

from gateway.cache.invalidation import Invalidation
from gateway.cache.tells import Tells
from gateway.chat.presence_reporter import PresenceReporter
from gateway.files import exports
from gateway.ws import reconciler
from gateway.ws.push_subscriber import PushSubscriber
from gateway.ws.reconciler import Reconciler
from services.kit import background, schema
from services.kit.config import ServiceSettings
from services.kit.process.server import build
from tests.support.gateway import FrontEnd, gateway_settings, running_gateway
from tests.support.processes import service_settings
from tests.support.servers import Servers


class Process(NamedTuple):
    settings: str  # the class, of services.<name>.config
    tasks: dict[str, str]


KIT = {
    "connect_nats": "services.kit.nats.Nats.connect",
    "relay_outbox": "services.kit.events.relay.Relay.drain",
    "beat_outbox": "services.kit.events.relay.Relay.beat",
    "listen_outbox": "services.kit.events.relay._listen",
    "watch_outbox": "services.kit.events.relay.watch_outbox",
    "prune_events": "services.kit.events.relay.prune",
}
CONSUMER = {"watch_consumer": "services.kit.events.consumer.watch_consumer"}
PROCESSES = {
    "user": Process(
        "UserSettings",
        KIT
        | {
            "keep_encrypted": "services.user.second_factor.reencryption.keep_encrypted",
            "sweep_old": "services.user.retention.sweep",
            "sweep_sessions": "services.user.sessions.sweep",
            "repeat_erasures": "services.user.erasure.repeat_erasures",
            "tell_old_addresses": "services.user.email_changes.tell_old_addresses",
        },
    ),
    "social": Process(
        "SocialSettings",
        KIT
        | CONSUMER
        | {
            "consume": "services.kit.events.consumer._Consumer.run",
            "consume_moderation": "services.kit.events.consumer._Consumer.run",
        },
    ),
    "media": Process(
        "MediaSettings",
        KIT
        | CONSUMER
        | {
            "consume": "services.kit.events.consumer._Consumer.run",
            "consume_moderation": "services.kit.events.consumer._Consumer.run",
            "erase_accounts": "services.media.videos.account_erasure.AccountEraser.run",
            "keep_fork_server": "services.media.files.children.fork_servers.ForkServers.wait",
            "process_0": "services.media.processing.jobs._work",
            "sweep": "services.media.maintenance.sweeper._run",
            "watch_media": "services.media.service.watch_media",
        },
    ),
    "chat": Process(
        "ChatSettings",
        KIT
        | CONSUMER
        | {
            "consume_membership": "services.kit.events.consumer._Consumer.run",
            "consume_moderation": "services.kit.events.consumer._Consumer.run",
            "consume_notifications": "services.kit.events.consumer._Consumer.run",
            "confirm_pushes": "services.chat.push.outbox.Publisher.delete_published",
            "erase_accounts": "services.chat.account_erasure.AccountEraser.run",
            "note_away": "services.chat.away.recorder.Recorder.run",
            "plan_away": "services.chat.away.worker.Worker.look",
            "send_away": "services.chat.away.worker.Worker.send",
            "drop_permissions": "services.chat.membership.permissions.Permissions.listen",
            "publish_pushes": "services.chat.push.outbox.Publisher.publish_queue",
            "renew_words": "services.chat.search_words.renew_words",
            "relay_pushes": "services.chat.push.outbox.Publisher.relay",
            "sweep_presence": "services.chat.presence.Presence.sweep",
            "write_messages": "services.chat.sending.group_commit.GroupCommit.write_all",
            "write_messages_1": "services.chat.sending.group_commit.GroupCommit.help_out",
        },
    ),
}


@pytest.mark.parametrize("name", PROCESSES)
async def test_every_background_task_comes_back(
    name: str, servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, others = PROCESSES[name].tasks, set(background._keepers)
    seen = {task: make_it_fail(monkeypatch, task, target) for task, target in tasks.items()}
    structlog.configure([structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)])
    async with opened(name, servers, tmp_path):
        async with asyncio.timeout(20):
            for worked in seen.values():
                await worked.wait()
            while not background.is_steady():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        running = {keeper.name for keeper in background._keepers - others}
        assert running == tasks.keys()


@asynccontextmanager
async def opened(name: str, servers: Servers, folder: Path) -> AsyncIterator[None]:
    """What `python -m services.<name>` runs, on a database of its own, in this process."""
    main, service, servicers, config = (
        importlib.import_module(f"services.{name}.{module}")
        for module in ("__main__", "service", "servicers", "config")
    )
    url = servers.create_database(f"tasks_{name}")
    schema.upgrade(url, service.MIGRATIONS)
    settings: ServiceSettings = service_settings(getattr(config, PROCESSES[name].settings), name, url, servers, folder)
    server, _ = build(settings, servicers.PROTOS)
    async with main.compose(settings, server):
        yield


def make_it_fail(monkeypatch: pytest.MonkeyPatch, task: str, target: str) -> asyncio.Event:
    """The function raises until the task was restarted; the event is set by its first call after that."""
    worked, before = asyncio.Event(), restarts(task)
    original: Callable[..., Any] = resolve(target)

    def function(*args: Any, **kwargs: Any) -> Any:
        if restarts(task) == before:
            raise RuntimeError("made to fail")
        worked.set()
        return original(*args, **kwargs)

    monkeypatch.setattr(target, function)
    return worked


def resolve(target: str) -> Any:
    """What a dotted name means: an attribute of a module, or of a class in it."""
    owner, _, attribute = target.rpartition(".")
    try:
        return getattr(importlib.import_module(owner), attribute)
    except ModuleNotFoundError:
        return getattr(resolve(owner), attribute)


GATEWAY_TASKS: list[tuple[str, Any, str]] = [  # the last: a function of that class or module
    ("invalidation", Invalidation, "_try_to_subscribe"),
    ("watch_hearing", Invalidation, "watch"),
    ("tell_gateways", Tells, "run"),
    ("presence_refresh", PresenceReporter, "_refresh_for_ever"),
    ("push_subscription", PushSubscriber, "_subscribe"),
    ("relist_after_gap", Reconciler, "_relist_after_gap"),
    ("recheck_watchers", Reconciler, "_recheck_watchers"),
    ("check_revs", Reconciler, "_check_revs"),
    ("check_sessions", Reconciler, "_check_sessions"),
    ("prepare_exports", exports, "prepare_next"),
    ("connect_nats", Client, "connect"),
]


@pytest.mark.parametrize(("task", "owner", "method"), [pytest.param(*row, id=row[0]) for row in GATEWAY_TASKS])
async def test_a_task_of_the_gateway_that_raises_comes_back(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, task: str, owner: Any, method: str
) -> None:
    monkeypatch.setattr(reconciler, "CHECK_SECONDS", 0.05)
    working, calls, works = getattr(owner, method), 0, asyncio.Event()

    async def fails_once(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("a bug")
        works.set()
        return await working(*arguments, **named)

    monkeypatch.setattr(owner, method, fails_once)
    before, others = restarts(task), set(background._keepers)
    async with running_gateway(gateway_settings(servers)) as running, exports.preparing_exports(running.container):
        running.container.met = True
        front = FrontEnd(running.http)
        await until_ready_is(front, 503)
        await asyncio.wait_for(works.wait(), 30)
        await until_ready_is(front, 200)
        assert restarts(task) == before + 1
        assert {keeper.name for keeper in background._keepers - others} == {name for name, _, _ in GATEWAY_TASKS}
    assert background.is_steady()


async def until_ready_is(front: FrontEnd, status: int) -> None:
    async with asyncio.timeout(30):
        while (await front.call("GET", "/health/ready")).status_code != status:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def restarts(task: str) -> float:
    return REGISTRY.get_sample_value("hitok_background_restarts_total", {"task": task}) or 0.0
