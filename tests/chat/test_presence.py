"""Presence: when a user counts as online, and to whom it is visible."""

import time
from pathlib import Path

import pytest

from protos.chat.v1 import sockets_pb2 as pb
from tests.support.chat import Running, execute, friends, group_conversation, running_pair, until, watching
from tests.support.servers import Servers
from tests.support.social import Running as Social
from tests.support.social import act, block, group_with, new_user, new_users, refusal


async def refresh(chat: Running, *connections: tuple[int, str, bool]) -> None:
    request = pb.RefreshConnectionsRequest(
        connections=[pb.Connection(user_id=user, connection_id=id, closed=closed) for user, id, closed in connections]
    )
    await chat.presence.RefreshConnections(request)


async def presence(chat: Running, viewer: int, *user_ids: int) -> dict[int, bool]:
    answer = await act(viewer, chat.presence.BatchGetPresence, pb.BatchGetPresenceRequest(user_ids=user_ids))
    return {each.user_id: each.online for each in answer.presences}


async def last_seen(chat: Running, user: int) -> int:
    answer = await act(user, chat.presence.BatchGetPresence, pb.BatchGetPresenceRequest(user_ids=[user]))
    return int(answer.presences[0].last_seen_at)


async def test_online_is_to_have_a_connection(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    async with watching(chat, "push.presence.>") as frames:
        await refresh(chat, (a, "one", False))
        assert await presence(chat, b, a, b) == {a: True, b: False}
        await refresh(chat, (a, "one", False), (a, "two", False))
        await refresh(chat, (a, "one", True))
        assert await presence(chat, b, a) == {a: True}
        await refresh(chat, (a, "two", True), (b, "x", False), (b, "y", False))
        assert await presence(chat, b, a, b) == {a: False, b: True}
        await frames.expect(f"push.presence.{b}", "presence", online=True)
        assert [data["online"] for data in frames.of(f"push.presence.{a}")] == [True, False], "only changes are told"
        assert {headers["key"] for name, headers, _ in frames.seen if str(a) in name} == {f"presence:{a}"}
    assert abs(await last_seen(chat, a) / 1000 - time.time()) < 5
    await refresh(chat)


async def test_only_friends_and_members_of_a_group_know(chat: Running, social: Social) -> None:
    me, friend = await friends(social)
    member, former, stranger = new_users(3)
    group_id = await group_with(social, me, member)
    await group_conversation(chat, group_id, me, member)
    users = (friend, member, former, stranger, me)
    await refresh(chat, *((user, "c", False) for user in users))
    assert await presence(chat, me, *users) == {friend: True, member: True, me: True}
    await block(social, friend, me)

    async def gone() -> bool:
        return await presence(chat, me, friend) == {}

    await until(gone)
    assert await refusal(presence(chat, me, *range(201))) == "BATCH_TOO_LARGE"
    assert await refusal(presence(chat, 0, me)) == "CALLER_MISSING"


async def test_a_user_who_is_not_refreshed_goes_offline(
    servers: Servers, social: Social, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after the kill of a gateway. The test moves the service's clock."""
    async with running_pair(servers, social, tmp_path, "killed") as chat:
        user, ahead = new_user(), [0.0]
        for clocked in (chat.service.presence, chat.service.presence._index):
            monkeypatch.setattr(clocked, "_clock", lambda: time.time() + ahead[0])
        async with watching(chat, "push.presence.>") as frames:
            await refresh(chat, (user, "lost", False))
            ahead[0] = chat.settings.presence_seconds - 10.0
            assert await presence(chat, user, user) == {user: True}
            ahead[0] = chat.settings.presence_seconds + 1.0
            assert await presence(chat, user, user) == {user: False}
            await chat.service.presence.sweep_now()
            await chat.service.presence.sweep_now()
            await frames.expect(f"push.presence.{user}", "presence", online=False)
            assert len(frames.of(f"push.presence.{user}")) == 2
        await chat.service.presence.save_seen()
        assert await execute(chat, "SELECT FROM user_last_seen WHERE user_id = :id", id=user)
        assert await last_seen(chat, user)


async def report_requests(chat: Running, *requests: tuple[int, float]) -> bool:
    """Reports HTTP requests: by user, how many seconds ago. Returns whether the report was kept."""
    rows = [pb.Connection(user_id=user, requested_at=round((time.time() - ago) * 1000)) for user, ago in requests]
    return not (await chat.presence.RefreshConnections(pb.RefreshConnectionsRequest(connections=rows))).lost


async def online_among(chat: Running, *user_ids: int) -> set[int]:
    return set((await chat.presence.BatchGetOnline(pb.BatchGetOnlineRequest(user_ids=user_ids))).user_ids)


async def test_online_is_also_to_have_made_a_request_within_a_minute(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    async with watching(chat, "push.presence.>") as frames:
        assert await report_requests(chat, (a, 50.0), (b, 61.0))
        assert await presence(chat, b, a, b) == {a: True, b: False}
        assert await online_among(chat, a, b) == {a}
        await frames.expect(f"push.presence.{a}", "presence", online=True)
        await refresh(chat, (a, "socket", False))
        await refresh(chat, (a, "socket", True))
        assert await online_among(chat, a) == {a}, "the socket is closed, and the request still counts"
        assert await report_requests(chat, (b, -5.0)), "by a clock that is ahead"
    assert len(frames.of(f"push.presence.{a}")) == 1


async def test_the_list_of_all_online_has_pages(chat: Running, social: Social) -> None:
    users = new_users(5)
    await report_requests(chat, *((user, 1 + number) for number, user in enumerate(users)))
    await refresh(chat, (users[4], "socket", False))
    seen: list[int] = []
    cursor, pages = "", 0
    while pages == 0 or cursor:
        page = await chat.presence.ListOnlineUsers(pb.ListOnlineUsersRequest(cursor=cursor, limit=2))
        seen, cursor, pages = seen + list(page.user_ids), page.next_cursor, pages + 1
        assert len(page.user_ids) <= 2
    assert [user for user in seen if user in users] == [users[4], *users[:4]]
    assert len(seen) == len(set(seen))
    request = pb.ListOnlineUsersRequest(cursor="x", limit=2)
    assert await refusal(chat.presence.ListOnlineUsers(request)) == "CURSOR_INVALID"
    assert await refusal(online_among(chat, *range(10_001))) == "BATCH_TOO_LARGE"
