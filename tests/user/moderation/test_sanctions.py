"""Warnings, suspensions and bans: who is shut out, until when, and how it is taken back."""

import itertools
import time

import grpc.aio
import pytest

from gateway.http.error_answers import retry_after_of
from protos.user.v1 import accounts_pb2, users_pb2
from protos.user.v1 import moderation_pb2 as pb
from services.kit.context import Caller
from services.kit.errors import reason_of
from tests.support.moderation import ADMIN, call, cases_of, decide, new_caller, report
from tests.support.moderation import video_of as video
from tests.support.user import (
    Running,
    acting,
    caller_of,
    email_account,
    email_login,
    events_of,
    execute,
    is_live,
    new_name,
    refusal,
)

DAY = 86_400
_ids = itertools.count(100_000)


async def new_case(user: Running, moderator: Caller, owner: int) -> int:
    """Of a video that somebody reported."""
    await report(user, await new_caller(user), video(owner, next(_ids)))
    return (await cases_of(user, moderator, owner))[-1].case_id


async def sanction(user: Running, moderator: Caller, owner: int, verb: str, seconds: int = 0) -> int:
    act = await decide(user, moderator, await new_case(user, moderator, owner), verb, seconds=seconds, note="enough")
    return act.act_id


async def take_back(user: Running, moderator: Caller, act_id: int) -> None:
    await call(moderator, user.moderation.Reverse, pb.ReverseRequest(act_id=act_id))


async def test_a_suspension_ends_the_sessions_and_refuses_logins_until_it_ends(user: Running) -> None:
    name, moderator = new_name(), await new_caller(user, ADMIN)
    issued = await email_account(user, name)
    await sanction(user, moderator, issued.user_id, "suspend", 7 * DAY)
    assert not await is_live(user, issued)
    assert ("session.revoked", [str(caller_of(user, issued).session_id)]) in [
        (verb, data.get("session_ids")) for verb, data in await events_of(user, issued.user_id)
    ]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await email_login(user, name)
    left = retry_after_of(refused.value)
    assert reason_of(refused.value) == "ACCOUNT_SUSPENDED"
    assert left is not None and 6.9 * DAY < left <= 7 * DAY
    wrong = email_login(user, name, "not the password")
    assert await refusal(wrong) == "CREDENTIALS_WRONG", "only the owner of the password learns it"
    await execute(user, "UPDATE account SET suspended_until = now() WHERE id = :id", id=issued.user_id)
    assert await is_live(user, await email_login(user, name))


async def test_a_ban_and_a_refresh_token(user: Running) -> None:
    name, moderator = new_name(), await new_caller(user, ADMIN)
    issued = await email_account(user, name)
    session = await email_login(user, name)
    act_id = await sanction(user, moderator, issued.user_id, "ban")
    assert await refusal(email_login(user, name)) == "ACCOUNT_BANNED"
    refresh = user.accounts.RefreshToken(accounts_pb2.RefreshTokenRequest(rtoken=session.rtoken))
    assert await refusal(refresh) == "SESSION_ENDED"
    with acting(moderator):
        found = await user.users.SearchUsers(users_pb2.SearchUsersRequest(query=name, limit=10))
    assert not found.users
    await take_back(user, moderator, act_id)
    assert await is_live(user, await email_login(user, name))
    assert not await is_live(user, session), "what ended stays ended"


async def test_what_stands_of_several_acts_counts(user: Running) -> None:
    name, moderator = new_name(), await new_caller(user, ADMIN)
    owner = (await email_account(user, name)).user_id
    short = await sanction(user, moderator, owner, "suspend", DAY)
    long = await sanction(user, moderator, owner, "suspend", 30 * DAY)
    ban = await sanction(user, moderator, owner, "ban")

    async def left() -> float:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await email_login(user, name)
        return retry_after_of(refused.value) or 0.0

    assert await left() == 0.0
    await take_back(user, moderator, ban)
    assert await left() > 29 * DAY
    await take_back(user, moderator, long)
    assert 0 < await left() <= DAY
    await take_back(user, moderator, short)
    assert await refusal(email_login(user, name)) == ""


async def test_a_warning_changes_nothing_but_is_told(user: Running) -> None:
    issued, moderator = await email_account(user), await new_caller(user, ADMIN)
    act_id = await sanction(user, moderator, issued.user_id, "warn")
    assert await is_live(user, issued)
    told = await execute(
        user, "SELECT data FROM outbox WHERE subject = 'events.user.moderation.acted' AND data ->> 'act_id' = :id",
        id=str(act_id),
    )  # fmt: skip
    assert [(row.data["act"], row.data["note"], row.data["user_id"]) for row in told] == [
        ("warn", "enough", str(issued.user_id))
    ]


async def test_admins_are_left_to_super_admins(user: Running) -> None:
    moderator, other, boss = [await new_caller(user, role) for role in (ADMIN, ADMIN, ADMIN + 1)]
    for verb in ("warn", "suspend", "ban"):
        case_id = await new_case(user, moderator, other.user_id)
        assert await refusal(decide(user, moderator, case_id, verb, seconds=DAY)) == "NOT_PERMITTED"
        await decide(user, boss, case_id, verb, seconds=DAY)
    assert (
        await refusal(decide(user, other, await new_case(user, boss, moderator.user_id), "dismiss")) == "NOT_PERMITTED"
    )


@pytest.mark.parametrize("seconds", [0, 59, 367 * DAY, -1])
async def test_a_suspension_lasts_between_a_minute_and_a_year(user: Running, seconds: int) -> None:
    owner, moderator = await new_caller(user), await new_caller(user, ADMIN)
    case_id = await new_case(user, moderator, owner.user_id)
    assert await refusal(decide(user, moderator, case_id, "suspend", seconds=seconds)) == "DURATION_INVALID"


async def test_the_act_says_until_when(user: Running) -> None:
    owner, moderator = await new_caller(user), await new_caller(user, ADMIN)
    before = time.time() * 1000
    case_id = await new_case(user, moderator, owner.user_id)
    act = await decide(user, moderator, case_id, "suspend", seconds=DAY)
    assert before + DAY * 1000 - 1 <= act.until <= time.time() * 1000 + DAY * 1000
    again = await decide(user, moderator, case_id, "suspend", seconds=DAY)
    assert (again.act_id, again.until) == (act.act_id, act.until)


async def test_nobody_decides_about_themselves(user: Running) -> None:
    boss, other = await new_caller(user, ADMIN + 1), await new_caller(user, ADMIN + 1)
    case_id = await new_case(user, other, boss.user_id)
    for verb in ("dismiss", "hide"):
        assert await refusal(decide(user, boss, case_id, verb)) == "NOT_PERMITTED"
    act = await decide(user, other, case_id, "warn")
    assert await refusal(take_back(user, boss, act.act_id)) == "NOT_PERMITTED"
    asked = await call(boss, user.moderation.Appeal, pb.AppealRequest(act_id=act.act_id, text="no"))
    grant = pb.DecideAppealRequest(appeal_id=asked.appeal_id, granted=True)
    assert await refusal(call(boss, user.moderation.DecideAppeal, grant)) == "NOT_PERMITTED"
