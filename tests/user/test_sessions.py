"""Sessions: listed per device, revocable, fifty a user."""

import asyncio
import random
from typing import Any

import grpc.aio
import pytest

from protos.user.v1 import accounts_pb2 as pb
from services.kit.cursor import encode_cursor
from services.user import sessions
from tests.support.user import (
    Running,
    acting,
    anonymous,
    caller_of,
    email_account,
    email_login,
    events_of,
    execute,
    is_live,
    new_name,
    new_phone,
    outcomes,
    phone_account,
    phone_login,
    profile,
    refusal,
)


def listing(user: Running, issued: pb.Tokens, cursor: str = "", limit: int = 100) -> grpc.aio.UnaryUnaryCall[Any, Any]:
    with acting(caller_of(user, issued)):
        return user.sessions.ListSessions(pb.ListSessionsRequest(cursor=cursor, limit=limit))


def revoking(user: Running, issued: pb.Tokens, session_id: int) -> grpc.aio.UnaryUnaryCall[Any, Any]:
    with acting(caller_of(user, issued)):
        return user.sessions.RevokeSession(pb.RevokeSessionRequest(session_id=session_id))


def session_of(user: Running, issued: pb.Tokens) -> int:
    return caller_of(user, issued).session_id


async def check(user: Running, *issued: pb.Tokens) -> list[pb.SessionVerdict]:
    ids = [session_of(user, one) for one in issued]
    return list((await user.sessions.CheckSessions(pb.CheckSessionsRequest(session_ids=ids))).sessions)


async def age(user: Running, issued: pb.Tokens, seconds: int) -> None:
    """As if the session had last been seen that long ago."""
    await execute(
        user,
        "UPDATE session SET last_seen_at = now() - make_interval(secs => :seconds) WHERE id = :id",
        id=session_of(user, issued),
        seconds=seconds,
    )


# -- listing -----------------------------------------------------------------------------------------------------------


async def test_sessions_are_listed_newest_first_with_device_and_address(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    phone = await email_login(user, name, ip="203.0.113.7", device="Phone")
    tablet = await email_login(user, name, ip="2001:db8::1", device="Tablet")
    listed = (await listing(user, phone)).sessions
    assert [one.session_id for one in listed] == [session_of(user, one) for one in (tablet, phone, made)]
    assert [(one.device, one.ip, one.current) for one in listed] == [
        ("Tablet", "2001:db8::1", False),
        ("Phone", "203.0.113.7", True),
        ("", "", False),
    ]
    for one in listed:
        assert one.created_at <= one.last_seen_at < one.expires_at
    assert 604_700_000 < listed[0].expires_at - listed[0].created_at <= 604_801_000


async def test_pages_join_without_gap_or_repeat(user: Running) -> None:
    phone = new_phone()
    issued = [await phone_account(user, phone)] + [await phone_login(user, phone) for _ in range(6)]
    seen, sizes, cursor = [], [], ""
    while True:
        page = await listing(user, issued[0], cursor, 3)
        seen += [one.session_id for one in page.sessions]
        sizes.append(len(page.sessions))
        await phone_login(user, phone)  # newer ones do not disturb
        cursor = page.next_cursor
        if not cursor:
            break
    assert seen == [session_of(user, one) for one in reversed(issued)] and sizes == [3, 3, 1]


async def test_a_full_last_page_has_no_next(user: Running) -> None:
    phone = new_phone()
    made = await phone_account(user, phone)
    await phone_login(user, phone)
    page = await listing(user, made, limit=2)
    assert len(page.sessions) == 2 and page.next_cursor == ""


@pytest.mark.parametrize("limit", [0, -1, 101, 2**31 - 1])
async def test_a_limit_out_of_range_is_brought_into_it(user: Running, limit: int) -> None:
    made = await phone_account(user)
    assert len((await listing(user, made, limit=limit)).sessions) == 1


@pytest.mark.parametrize(
    "cursor",
    ["x", "\0", "é", "====", encode_cursor("text"), encode_cursor(1, 2), encode_cursor(10**30), encode_cursor(1.5)],
)
async def test_a_cursor_not_ours_is_refused(user: Running, cursor: str) -> None:
    assert await refusal(listing(user, await phone_account(user), cursor)) == "CURSOR_INVALID"


async def test_only_live_sessions_of_ones_own_are_listed(user: Running) -> None:
    phone = new_phone()
    made = await phone_account(user, phone)
    revoked, expired = await phone_login(user, phone), await phone_login(user, phone)
    await phone_account(user)
    await revoking(user, made, session_of(user, revoked))
    await execute(user, "UPDATE session SET expires_at = now() WHERE id = :id", id=session_of(user, expired))
    assert [one.session_id for one in (await listing(user, made)).sessions] == [session_of(user, made)]
    with anonymous():
        assert await refusal(user.sessions.ListSessions(pb.ListSessionsRequest())) == "CALLER_MISSING"


# -- revoking ----------------------------------------------------------------------------------------------------------


async def test_a_revoked_session_dies_and_is_announced_once(user: Running) -> None:
    phone = new_phone()
    made, lost = await phone_account(user, phone), await phone_login(user, phone)
    assert await outcomes(*(revoking(user, made, session_of(user, lost)) for _ in range(5))) == {"": 5}
    assert not await is_live(user, lost) and await is_live(user, made)
    announced = [data for subject, data in await events_of(user, made.user_id) if subject == "session.revoked"]
    assert announced == [{"user_id": str(made.user_id), "session_ids": [str(session_of(user, lost))]}]


async def test_anothers_session_cannot_be_revoked(user: Running) -> None:
    one, other = await phone_account(user), await phone_account(user)
    assert await refusal(revoking(user, one, session_of(user, other))) == "SESSION_NOT_FOUND"
    assert await refusal(revoking(user, one, 1)) == "SESSION_NOT_FOUND"
    assert await is_live(user, other)
    with anonymous():
        assert await refusal(user.sessions.RevokeSession(pb.RevokeSessionRequest(session_id=1))) == "CALLER_MISSING"


# -- the cap -----------------------------------------------------------------------------------------------------------


async def test_of_more_than_50_sessions_the_oldest_end(user: Running) -> None:
    phone = new_phone()
    issued = [await phone_account(user, phone)] + [await phone_login(user, phone) for _ in range(52)]
    live = {verdict.session_id for verdict in await check(user, *issued)}
    assert live == {session_of(user, one) for one in issued[3:]}


async def test_60_logins_at_once_leave_50_sessions(user: Running) -> None:
    phone = new_phone()
    made = await phone_account(user, phone)
    assert await outcomes(*(phone_login(user, phone) for _ in range(60))) == {"": 60}
    rows = await execute(user, "SELECT id FROM session WHERE user_id = :id AND revoked_at IS NULL", id=made.user_id)
    assert len(rows) == 50


# -- checking ----------------------------------------------------------------------------------------------------------


async def test_a_check_answers_the_live_ones_with_their_users_present_roles(user: Running) -> None:
    one, other = await phone_account(user), await phone_account(user)
    await execute(user, "UPDATE account SET role = 3 WHERE id = :id", id=other.user_id)
    ids = [session_of(user, one), session_of(user, other), 0, -1, 1, 2**63 - 1, session_of(user, one)]
    got = (await user.sessions.CheckSessions(pb.CheckSessionsRequest(session_ids=ids))).sessions
    assert sorted((verdict.session_id, verdict.user_id, verdict.role) for verdict in got) == [
        (session_of(user, one), one.user_id, 0),
        (session_of(user, other), other.user_id, 3),
    ]


async def test_an_expired_session_is_dead(user: Running) -> None:
    made = await phone_account(user)
    await execute(user, "UPDATE session SET expires_at = now() WHERE id = :id", id=session_of(user, made))
    assert not await is_live(user, made)


async def test_a_check_takes_500_sessions_and_no_more(user: Running) -> None:
    for size, reason in ((0, ""), (500, ""), (501, "BATCH_TOO_LARGE")):
        request = pb.CheckSessionsRequest(session_ids=range(1, size + 1))
        assert await refusal(user.sessions.CheckSessions(request)) == reason


async def test_a_check_marks_session_and_user_as_seen_once_a_minute(user: Running) -> None:
    made = await phone_account(user)

    async def seen() -> tuple[int, int]:
        session = (await listing(user, made)).sessions[0]
        return session.last_seen_at, (await profile(user, made.user_id)).heartbeat_at

    await age(user, made, 50)
    before = await seen()
    await check(user, made)
    assert await seen() == before
    await age(user, made, 70)
    await check(user, made)
    after = await seen()
    assert after[0] > before[0] and after[1] > before[1]


async def test_checks_of_the_same_sessions_in_any_order_do_not_lock_one_another_out(user: Running) -> None:
    phone = new_phone()
    issued = [await phone_account(user, phone)] + [await phone_login(user, phone) for _ in range(9)]
    issued += [await phone_account(user) for _ in range(10)]
    for one in issued:
        await age(user, one, 70)
    orders = [random.sample(issued, len(issued)) for _ in range(30)]
    results = await asyncio.gather(*(check(user, *order) for order in orders))
    assert {len(verdicts) for verdicts in results} == {len(issued)}
    stale = await execute(
        user,
        "SELECT id FROM session WHERE id = ANY(:ids) AND last_seen_at < now() - interval '60 s'",
        ids=[session_of(user, one) for one in issued],
    )
    assert not stale


async def test_sessions_long_expired_are_swept_away(user: Running) -> None:
    phone = new_phone()
    made, old = await phone_account(user, phone), await phone_login(user, phone)
    query = "UPDATE session SET expires_at = now() - interval '31 days' WHERE id = :id"
    await execute(user, query, id=session_of(user, old))
    await sessions.sweep_once(user.service.database)
    rows = await execute(user, "SELECT id FROM session WHERE user_id = :id", id=made.user_id)
    assert [row.id for row in rows] == [session_of(user, made)]


async def test_others_hear_that_a_session_has_expired(user: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "ENDED_AT_ONCE", 2)
    phone = new_phone()
    made = await phone_account(user, phone)
    expired = [session_of(user, await phone_login(user, phone)) for _ in range(3)]
    query = "UPDATE session SET expires_at = now() - interval '1 s' WHERE id = ANY(:ids)"
    await execute(user, query, ids=expired)
    for _ in range(2):
        await sessions.sweep_once(user.service.database)
    events = [data["session_ids"] for subject, data in await events_of(user, made.user_id) if "revoked" in subject]
    assert sorted(id for ids in events for id in ids) == sorted(map(str, expired)), "once"
    rows = await execute(user, "SELECT id FROM session WHERE user_id = :id AND revoked_at IS NULL", id=made.user_id)
    assert [row.id for row in rows] == [session_of(user, made)]
