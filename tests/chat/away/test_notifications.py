"""Notifications of the app to users who are away: each once, by kind, and not about what they saw or muted."""

from typing import Any

import pytest

from protos.chat.v1 import sockets_pb2
from tests.chat.away.stage import Stage
from tests.support.chat import direct, execute, friends, notifications, send
from tests.support.push_services import Browser
from tests.support.social import Running as Social
from tests.support.social import act, new_users


async def like(stage: Stage, owner: int, fan: int, video: int = 600_100) -> None:
    await stage.hear("media.video.liked", owner_id=str(owner), actor_id=str(fan), video_id=str(video + owner))


async def read_all(stage: Stage, user: int) -> None:
    request = sockets_pb2.MarkNotificationsReadRequest(all=True)
    await act(user, stage.chat.notifications.MarkNotificationsRead, request)


def told(browser: Browser) -> list[Any]:
    return [each["data"] for each in browser.received()]


async def test_a_like_is_told_once_whoever_joins_it(stage: Stage) -> None:
    owner, *fans = new_users(4)
    browser = await stage.subscribe(owner)
    await like(stage, owner, fans[0])
    await stage.settle()
    await like(stage, owner, fans[1])
    await stage.settle()
    (listed,) = await notifications(stage.chat, owner)
    assert listed.actor_count == 2
    (pushed,) = told(browser)
    assert pushed == {"type": "notification", "notification_id": str(listed.notification_id), "badge": 0}
    assert browser.requests[0].headers["urgency"] == "normal"
    await read_all(stage, owner)
    await like(stage, owner, fans[2])  # the one before was read: this is another
    await stage.settle()
    assert len(told(browser)) == 2


async def test_what_it_is_about_is_told_by_wish(stage: Stage) -> None:
    owner, fan = new_users(2)
    browser = await stage.subscribe(owner)
    await stage.wish(owner, content=True)
    await like(stage, owner, fan)
    await stage.settle()
    (pushed,) = told(browser)
    assert (pushed["kind"], pushed["actor_id"], pushed["video_id"]) == ("like", str(fan), str(600_100 + owner))


@pytest.mark.parametrize("how", ["read", "online", "kind muted", "kind not wanted", "actor muted", "actor blocked"])
async def test_a_notification_that_is_not_told(stage: Stage, how: str) -> None:
    owner, fan = new_users(2)
    browser = await stage.subscribe(owner)
    pair = {"actor_id": str(owner), "user_id": str(fan)}
    match how:
        case "kind muted":
            request = sockets_pb2.SetMutedRequest(kind="like", muted=True)
            await act(owner, stage.chat.notifications.SetMuted, request)
        case "actor blocked":
            await stage.hear("social.user.blocked", **pair)
    await like(stage, owner, fan)
    match how:
        case "read":
            await read_all(stage, owner)
        case "online":
            report = sockets_pb2.Connection(user_id=owner, connection_id="one")
            seen = sockets_pb2.RefreshConnectionsRequest(connections=[report])
            await act(0, stage.chat.presence.RefreshConnections, seen)
        case "kind not wanted":
            await stage.wish(owner, muted_kinds=["like"])
        case "actor muted":
            await stage.hear("social.user.muted", **pair)
    await stage.settle()
    assert not browser.requests
    assert not await stage.waiting(owner)


async def test_a_mention_is_told_as_its_message(stage: Stage, social: Social) -> None:
    a, b = await friends(social)
    browser = await stage.subscribe(b)
    await send(stage.chat, a, direct(b), f"hello @{b}", mentions=[b])
    await stage.settle()
    assert [each.kind for each in await notifications(stage.chat, b)] == ["mention"]
    assert [each["type"] for each in told(browser)] == ["message"]


async def test_the_badge_counts_what_is_unread(stage: Stage, social: Social) -> None:
    a, b, c = await friends(social, 3)
    for sender in (a, a, c):
        await send(stage.chat, sender, direct(b))
    browser = await stage.subscribe(b)
    await send(stage.chat, c, direct(b))
    await stage.settle()
    (pushed,) = told(browser)
    assert (pushed["count"], pushed["badge"]) == (1, 4)


async def test_what_was_told_is_forgotten_after_a_day(stage: Stage) -> None:
    owner, fan = new_users(2)
    await stage.subscribe(owner)
    await like(stage, owner, fan)
    await stage.settle()
    query = "SELECT FROM away_push WHERE user_id = :owner"
    assert len(await execute(stage.chat, query, owner=owner)) == 1
    past = "UPDATE away_push SET done_at = now() - interval '25 hours' WHERE user_id = :owner"
    await execute(stage.chat, past, owner=owner)
    await stage.worker.forget_lost()
    assert not await execute(stage.chat, query, owner=owner)
