"""Rotation of refresh tokens, for clients that ask for it: each counts once, and a reuse ends the session."""

import asyncio

from protos.user.v1 import accounts_pb2 as pb
from services.kit import tokens
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
    outcomes,
    refusal,
)


async def renew(user: Running, rtoken: str, rotate: bool = True) -> pb.Tokens:
    return await user.accounts.RefreshToken(pb.RefreshTokenRequest(rtoken=rtoken, rotate=rotate))


async def a_login(user: Running) -> pb.Tokens:
    name = new_name()
    await email_account(user, name)
    return await email_login(user, name)


async def later(user: Running, issued: pb.Tokens, seconds: int = 11) -> None:
    statement = "UPDATE session SET refreshed_at = refreshed_at - make_interval(secs => :seconds) WHERE id = :id"
    await execute(user, statement, seconds=seconds, id=caller_of(user, issued).session_id)


def ends_at(user: Running, rtoken: str) -> int:
    return tokens.verify(user.settings.jwt_secret, rtoken, "rtoken").exp


async def test_without_asking_the_token_stays(user: Running) -> None:
    issued = await a_login(user)
    for _ in range(2):
        again = await renew(user, issued.rtoken, rotate=False)
        assert again.atoken and not again.rtoken


async def test_each_token_leads_to_the_next_and_none_outlives_the_session(user: Running) -> None:
    issued = await a_login(user)
    token = issued.rtoken
    for _ in range(3):
        again = await renew(user, token)
        assert again.rtoken not in ("", token) and ends_at(user, again.rtoken) <= ends_at(user, issued.rtoken)
        token = again.rtoken
        await later(user, issued)
    assert await is_live(user, issued)
    assert (await renew(user, token, rotate=False)).atoken, "the newest may be used without a rotation"


async def test_a_token_used_again_ends_the_session(user: Running) -> None:
    issued = await a_login(user)
    newest = await renew(user, issued.rtoken)
    await later(user, issued)
    for rotate in (True, False):
        assert await refusal(renew(user, issued.rtoken, rotate)) == "SESSION_ENDED"
        assert not await is_live(user, issued)
    assert await refusal(renew(user, newest.rtoken)) == "SESSION_ENDED", "also for who has the newest"
    subject, data = (await events_of(user, issued.user_id))[-1]
    assert (subject, data["session_ids"]) == ("session.revoked", [str(caller_of(user, issued).session_id)])


async def test_the_thief_who_comes_first_is_out_when_the_owner_comes(user: Running) -> None:
    issued = await a_login(user)
    stolen = await renew(user, issued.rtoken)
    stolen = await renew(user, stolen.rtoken)
    assert await refusal(renew(user, issued.rtoken)) == "SESSION_ENDED", "at once: it is not the token before"
    assert not await is_live(user, stolen)


async def test_a_lost_answer_and_two_tabs_at_once_end_nothing(user: Running) -> None:
    issued = await a_login(user)
    answers = await asyncio.gather(*(renew(user, issued.rtoken) for _ in range(4)))
    ids = {tokens.verify(user.settings.jwt_secret, it.rtoken, "rtoken").jti for it in answers}
    assert len(ids) == 1, "all have the same next one"
    assert await is_live(user, issued)
    assert (await renew(user, answers[0].rtoken)).rtoken


async def test_other_sessions_are_not_touched(user: Running) -> None:
    name = new_name()
    await email_account(user, name)
    one, other = await email_login(user, name), await email_login(user, name)
    await renew(user, one.rtoken)
    await later(user, one)
    assert await outcomes(*(renew(user, one.rtoken) for _ in range(3))) == {"SESSION_ENDED": 3}
    assert await is_live(user, other) and (await renew(user, other.rtoken)).rtoken


async def test_an_access_token_or_a_deleted_account_gets_none(user: Running) -> None:
    issued = await a_login(user)
    assert await refusal(renew(user, issued.atoken)) == "WRONG_TOKEN_CLASS"
    await execute(user, "UPDATE account SET deleted_at = now() WHERE id = :id", id=issued.user_id)
    assert await refusal(renew(user, issued.rtoken)) == "SESSION_ENDED"


async def test_ending_the_others_leaves_this_one(user: Running) -> None:
    name = new_name()
    sessions = [await email_account(user, name), await email_login(user, name), await email_login(user, name)]
    for _ in range(2):
        with acting(caller_of(user, sessions[1])):
            await user.sessions.RevokeOtherSessions(pb.RevokeOtherSessionsRequest())
        assert [await is_live(user, it) for it in sessions] == [False, True, False]
    with anonymous():
        assert await refusal(user.sessions.RevokeOtherSessions(pb.RevokeOtherSessionsRequest())) == "CALLER_MISSING"


async def test_a_session_shows_its_network_coarsely(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    for ip in ("203.0.113.7", "2001:db8:1:2::3"):
        await email_login(user, name, ip=ip)
    with acting(caller_of(user, made)):
        listed = (await user.sessions.ListSessions(pb.ListSessionsRequest(limit=10))).sessions
    assert [it.network for it in listed] == ["2001:db8:1::/48", "203.0.113.0/24", ""]
