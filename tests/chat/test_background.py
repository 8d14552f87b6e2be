"""Each background task of the chat service fails once for a reason it does not know, and its work goes on."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from services.chat import consumer
from services.chat.account_erasure import AccountEraser
from services.chat.away.recorder import Recorder
from services.chat.away.worker import Worker
from services.chat.membership.permissions import Permissions
from services.chat.presence import Presence
from services.chat.push.outbox import Publisher
from services.chat.sending.group_commit import GroupCommit
from services.kit import background
from tests.support.chat import direct, execute, friends, group, group_conversation, running_pair, send, until, watching
from tests.support.servers import Servers, private_nats
from tests.support.social import Running as Social
from tests.support.social import group_with, new_users, remove, running_social_service, social_settings

TASKS: list[tuple[str, Any, str]] = [
    ("publish_pushes", Publisher, "publish_queue"),
    ("confirm_pushes", Publisher, "delete_published"),
    ("relay_pushes", Publisher, "relay"),
    ("write_messages", GroupCommit, "write_all"),
    ("write_messages_1", GroupCommit, "help_out"),
    ("drop_permissions", Permissions, "listen"),
    ("sweep_presence", Presence, "sweep"),
    ("note_away", Recorder, "run"),
    ("plan_away", Worker, "look"),
    ("send_away", Worker, "send"),
    ("erase_accounts", AccountEraser, "run"),
    ("consume_membership", consumer, "consume_batches"),
    ("consume_notifications", consumer, "consume_batches"),
    ("consume_moderation", consumer, "consume"),
]


def failing(work: Callable[..., Awaitable[None]], runs: int) -> Callable[..., Awaitable[None]]:
    """The first `runs` runs of the task raise."""
    left = [runs]

    async def run(*args: Any, **named: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise ValueError("a bug")
        await work(*args, **named)

    return run


def restarts(task: str) -> float:
    return REGISTRY.get_sample_value("hitok_background_restarts_total", {"task": task}) or 0.0


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[str]:
    """The URL of a server of its own. On the suite's, another chat service may run, with a database of its own but with
    the same durable consumers: each of the two would get a part of the events only."""
    with private_nats(tmp_path) as server:
        yield server.url


@pytest.fixture
async def social(servers: Servers, nats: str, tmp_path: Path) -> AsyncIterator[Social]:
    settings = social_settings(servers.create_database("graph"), servers, tmp_path, HITOK_NATS_URL=nats)
    async with running_social_service(settings) as running:
        yield running


async def test_every_task_comes_back(
    servers: Servers, social: Social, nats: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner, name in dict.fromkeys((owner, name) for _, owner, name in TASKS):
        runs = sum((owner, name) == task[1:] for task in TASKS)
        monkeypatch.setattr(owner, name, failing(getattr(owner, name), runs))
    before = {task: restarts(task) for task, _, _ in TASKS}
    pair = running_pair(servers, social, tmp_path, "failing", HITOK_NATS_URL=nats)
    async with pair as chat, watching(chat) as frames:

        async def restarted() -> bool:
            return all(restarts(task) > before[task] for task in before)

        assert not background.is_steady(), "the process is not ready"
        await until(restarted)
        await until(steady)
        a, b = await friends(social)
        ack = await send(chat, a, direct(b))
        await frames.expect(f"push.conv.{ack.conversation_id}", "message", rev=ack.rev)
        owner_id, member = new_users(2)
        group_id = await group_with(social, owner_id, member, approval=False)
        cv = await group_conversation(chat, group_id, owner_id, member)
        await frames.expect(f"push.user.{member}", "conversation", conversation_id=str(cv))
        await send(chat, owner_id, group(group_id))
        await remove(social, owner_id, group_id, member)
        await group_conversation(chat, group_id, owner_id)

        async def confirmed() -> bool:
            return not await execute(chat, "SELECT FROM push")

        await until(confirmed)


async def steady() -> bool:
    return background.is_steady()
