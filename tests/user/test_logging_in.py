"""Logging in, refreshing and logging out."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import closing
from time import monotonic
from typing import Any

import bcrypt
import grpc.aio
import pytest
from prometheus_client import REGISTRY

from protos.user.v1 import accounts_pb2 as pb
from services.kit import tokens
from services.user.errors import Overloaded
from services.user.proofs.passwords import Passwords
from tests.support.user import (
    PASSWORD,
    Running,
    acting,
    anonymous,
    caller_of,
    email_account,
    email_login,
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


def refreshing(user: Running, rtoken: str) -> grpc.aio.UnaryUnaryCall[Any, Any]:
    return user.accounts.RefreshToken(pb.RefreshTokenRequest(rtoken=rtoken))


async def disable(user: Running, user_id: int) -> None:
    await execute(user, "UPDATE account SET disabled_at = now() WHERE id = :id", id=user_id)


async def test_a_login_says_where_it_came_from(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    await email_login(user, name, ip="2001:db8::1", port=4711, device="Firefox")
    shown = await profile(user, made.user_id)
    assert (shown.client_ip, shown.client_port, shown.device) == ("2001:db8::1", 4711, "Firefox")
    assert shown.login_at == shown.heartbeat_at >= shown.created_at


async def test_a_device_of_any_length_and_content_is_kept_as_far_as_it_goes(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    await email_login(user, name, device="x\0" + "用" * 5_000)
    shown = await profile(user, made.user_id)
    assert shown.device.startswith("x") and shown.device.endswith("用") and len(shown.device) <= 200


async def test_each_login_is_a_session_of_its_own(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    issued = [await email_login(user, name) for _ in range(3)]
    assert len({caller_of(user, one).session_id for one in [made, *issued]}) == 4


async def test_tokens_live_as_long_as_their_family_says(user: Running) -> None:
    name, phone = new_name(), new_phone()
    await email_account(user, name)
    await phone_account(user, phone)
    secret, by_email, by_phone = user.settings.jwt_secret, await email_login(user, name), await phone_login(user, phone)
    issued: tuple[tuple[str, tokens.TokenClass, int], ...] = (
        (by_email.atoken, "atoken", 7_200),
        (by_email.rtoken, "rtoken", 604_800),
        (by_phone.atoken, "atoken", 8_640_000),
    )
    for token, token_class, lifetime in issued:
        claims = tokens.verify(secret, token, token_class)
        assert claims.exp - claims.iat == lifetime


async def test_a_wrong_password_is_refused_and_starts_nothing(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    before = REGISTRY.get_sample_value("hitok_logins_total", {"outcome": "refused"}) or 0
    for password in ("wrong password", "", "x" * 73, PASSWORD + "\0", PASSWORD.upper(), "x" * 100_000):
        assert await refusal(email_login(user, name, password)) == "CREDENTIALS_WRONG"
    rows = await execute(user, "SELECT id FROM session WHERE user_id = :id", id=made.user_id)
    assert len(rows) == 1, "the one of registering"
    assert REGISTRY.get_sample_value("hitok_logins_total", {"outcome": "refused"}) == before + 6


async def test_an_unknown_account_is_refused_like_a_wrong_password(user: Running) -> None:
    assert await refusal(email_login(user, new_name())) == "CREDENTIALS_WRONG"
    assert await refusal(phone_login(user, new_phone())) == "CREDENTIALS_WRONG"


async def test_what_is_no_address_and_no_phone_is_refused_as_such(user: Running) -> None:
    assert await refusal(user.accounts.LoginByEmail(pb.LoginByEmailRequest(email="x\0"))) == "EMAIL_INVALID"
    assert await refusal(phone_login(user, "x\0")) == "PHONE_INVALID"


async def test_logging_in_takes_the_address_and_phone_in_any_form(user: Running) -> None:
    name, phone = new_name(), new_phone()
    await email_account(user, name)
    await phone_account(user, phone)
    request = pb.LoginByEmailRequest(email=f" {name.upper()}@Example.Com ", password=PASSWORD)
    assert (await user.accounts.LoginByEmail(request)).atoken
    assert (await phone_login(user, f"+86 {phone[:3]} {phone[3:]}")).atoken


async def test_50_logins_at_once_all_succeed(user: Running) -> None:
    name = new_name()
    await email_account(user, name)
    assert await outcomes(*(email_login(user, name) for _ in range(50))) == {"": 50}


async def test_more_logins_than_can_be_hashed_in_a_second_are_refused_at_once() -> None:
    with closing(Passwords(cost=4, threads=2)) as passwords:
        passwords._seconds, hold = 0.1, threading.Event()
        running = [asyncio.ensure_future(passwords._run(1.0, hold.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        running += [asyncio.ensure_future(passwords.verify(PASSWORD, None)) for _ in range(50)]
        await asyncio.sleep(0)
        refused = [each for each in running if each.done()]
        assert len(running) - len(refused) == 18, "eight tenths of a second for each thread, and the two that run"
        assert all(isinstance(error := each.exception(), Overloaded) and error.retry_after for each in refused)
        with pytest.raises(Overloaded):
            passwords.require_room()
        hold.set()
        await asyncio.gather(*running, return_exceptions=True)
        passwords._seconds = 0.1
        passwords.require_room()


async def test_a_login_that_has_waited_too_long_is_refused_and_costs_no_hash() -> None:
    with closing(Passwords(cost=4, threads=1)) as passwords:
        with pytest.raises(Overloaded):
            passwords._measured(monotonic() - 0.001, passwords.close)


async def test_the_work_of_a_login_does_not_tell_whether_there_is_an_account(
    user: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One comparison of one cost, whatever is wrong."""
    work: list[tuple[Any, bytes]] = []
    run = Passwords._run

    async def counting(self: Passwords, most: float, function: Callable[..., Any], *args: bytes) -> Any:
        work.append((function, args[1][:7]))
        return await run(self, most, function, *args)

    name, disabled, phone = new_name(), new_name(), new_phone()
    await email_account(user, name)
    await disable(user, (await email_account(user, disabled)).user_id)
    await phone_account(user, phone)
    monkeypatch.setattr(Passwords, "_run", counting)
    for call in (
        email_login(user, name, "wrong password"),
        email_login(user, name, "x" * 73),
        email_login(user, name, ""),
        email_login(user, new_name(), "wrong password"),
        email_login(user, new_name(), "x" * 73),
        email_login(user, new_name(), ""),
        email_login(user, disabled, "wrong password"),
        phone_login(user, phone, "wrong password"),
        phone_login(user, new_phone(), "wrong password"),
    ):
        work.clear()
        assert await refusal(call) == "CREDENTIALS_WRONG"
        assert work == [(bcrypt.checkpw, b"$2b$04$")]


async def test_a_disabled_account_cannot_log_in_and_says_so_only_to_the_right_password(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    await disable(user, made.user_id)
    assert await refusal(email_login(user, name)) == "ACCOUNT_DISABLED"
    assert await refusal(email_login(user, name, "wrong password")) == "CREDENTIALS_WRONG"
    assert not await is_live(user, made)


# -- refreshing --------------------------------------------------------------------------------------------------------


async def test_refreshing_gives_an_access_token_of_the_same_session(user: Running) -> None:
    name = new_name()
    await email_account(user, name)
    issued = await email_login(user, name)
    again = await refreshing(user, issued.rtoken)
    assert caller_of(user, again) == caller_of(user, issued) and again.atoken != issued.atoken and not again.rtoken
    assert await refusal(refreshing(user, issued.rtoken)) == "", "a refresh token serves again"


async def test_a_refreshed_token_carries_role_and_name_as_they_are_now(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    issued = await email_login(user, name)
    changed = new_name()
    await execute(user, "UPDATE account SET role = 2, username = :name WHERE id = :id", name=changed, id=made.user_id)
    claims = tokens.verify(user.settings.jwt_secret, (await refreshing(user, issued.rtoken)).atoken, "atoken")
    assert (claims.role, claims.username) == (2, changed)


async def test_a_refresh_token_ends_with_its_session(user: Running) -> None:
    name = new_name()
    await email_account(user, name)
    issued = await email_login(user, name)
    with acting(caller_of(user, issued)):
        await user.accounts.Logout(pb.LogoutRequest())
    assert await refusal(refreshing(user, issued.rtoken)) == "SESSION_ENDED"


@pytest.mark.parametrize("what", ["disabled_at", "deleted_at"])
async def test_the_refresh_token_of_a_lost_account_is_worthless(user: Running, what: str) -> None:
    name = new_name()
    await email_account(user, name)
    issued = await email_login(user, name)
    await execute(user, f"UPDATE account SET {what} = now() WHERE id = :id", id=issued.user_id)
    assert await refusal(refreshing(user, issued.rtoken)) == "SESSION_ENDED"
    assert not await is_live(user, issued)


async def test_only_a_good_refresh_token_refreshes(user: Running) -> None:
    name = new_name()
    await email_account(user, name)
    issued, other = await email_login(user, name), await phone_account(user)

    def forged(user_id: int, session_id: int, lifetime: int = 60, secret: str = user.settings.jwt_secret) -> str:
        return tokens.issue(
            secret,
            user_id=user_id,
            username=name,
            role=4,
            session_id=session_id,
            token_class="rtoken",
            lifetime=lifetime,
        )[0]

    own = caller_of(user, issued).session_id
    assert await refusal(refreshing(user, issued.atoken)) == "WRONG_TOKEN_CLASS"
    assert await refusal(refreshing(user, forged(issued.user_id, own, -1))) == "TOKEN_EXPIRED"
    assert await refusal(refreshing(user, forged(issued.user_id, own, secret="x" * 40))) == "TOKEN_INVALID"
    assert await refusal(refreshing(user, forged(other.user_id, own))) == "SESSION_ENDED"
    assert await refusal(refreshing(user, forged(issued.user_id, 1))) == "SESSION_ENDED"
    for garbage in ("", "a.b.c", "\0", "x" * 100_000):
        assert await refusal(refreshing(user, garbage)) == "TOKEN_INVALID"


# -- logging out -------------------------------------------------------------------------------------------------------


async def test_logging_out_ends_the_callers_session_only(user: Running) -> None:
    name = new_name()
    await email_account(user, name)
    first, second = await email_login(user, name), await email_login(user, name)
    with acting(caller_of(user, first)):
        await user.accounts.Logout(pb.LogoutRequest())
        assert await refusal(user.accounts.Logout(pb.LogoutRequest())) == "", "a retry"
    assert not await is_live(user, first) and await is_live(user, second)


async def test_a_user_is_logged_out_with_the_last_session_and_in_again_with_the_next(user: Running) -> None:
    phone = new_phone()
    sessions = [await phone_account(user, phone), await phone_login(user, phone)]
    seen = []
    for session in sessions:
        with acting(caller_of(user, session)):
            await user.accounts.Logout(pb.LogoutRequest())
        shown = await profile(user, session.user_id)
        seen.append((shown.is_logout, shown.logout_at > 0))
    assert seen == [(False, True), (True, True)]
    await phone_login(user, phone)
    assert not (await profile(user, sessions[0].user_id)).is_logout


async def test_nobody_cannot_log_out(user: Running) -> None:
    with anonymous():
        assert await refusal(user.accounts.Logout(pb.LogoutRequest())) == "CALLER_MISSING"
