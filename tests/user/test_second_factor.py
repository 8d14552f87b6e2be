"""The second factor of logins: codes of an authenticator app (RFC 6238), and recovery codes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyotp
import pytest

from protos.user.v1 import accounts_pb2 as pb
from protos.user.v1 import second_factor_pb2 as factor_pb
from services.user.proofs import second_factor as codes
from tests.support.servers import Servers
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
    refusal,
    running_user_service,
    user_settings,
)


def code_of(secret: str, steps: int = 0) -> str:
    return pyotp.TOTP(secret).at(int(time.time()) + steps * codes.PERIOD)


async def ask(user: Running, issued: pb.Tokens, rpc: str, **fields: Any) -> Any:
    with acting(caller_of(user, issued)):
        request = getattr(factor_pb, f"{rpc}Request")(**fields)
        return await getattr(user.second_factors, rpc)(request)


async def begin(user: Running, issued: pb.Tokens) -> str:
    return str((await ask(user, issued, "BeginSecondFactor", password=PASSWORD)).secret)


async def turned_on(user: Running, name: str = "") -> tuple[str, pb.Tokens, str, list[str]]:
    """Name, tokens, secret and recovery codes of a new account whose second factor is on; no code was used yet."""
    name = name or new_name()
    made = await email_account(user, name)
    secret = await begin(user, made)
    recovery = list((await ask(user, made, "TurnOnSecondFactor", code=code_of(secret))).codes)
    await execute(user, "UPDATE second_factor SET last_step = 0 WHERE user_id = :id", id=made.user_id)
    return name, made, secret, recovery


async def login(user: Running, name: str, code: str = "", password: str = PASSWORD) -> pb.Tokens:
    return await user.accounts.LoginByEmail(
        pb.LoginByEmailRequest(email=f"{name}@example.com", password=password, second_code=code)
    )


@contextmanager
def at(monkeypatch: pytest.MonkeyPatch, seconds: float) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(codes, "time", type("Clock", (), {"time": staticmethod(lambda: seconds)}))
        yield


def test_codes_are_those_of_the_rfc(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last six digits of the eight in RFC 6238, appendix B, for SHA-1."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # 12345678901234567890
    for seconds, code in ((59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")):
        with at(monkeypatch, seconds):
            assert codes.step_of(secret, code, 0) == seconds // 30


async def test_a_login_takes_a_code_once_it_is_on(user: Running) -> None:
    name = new_name()
    made, other = await email_account(user, name), await email_login(user, name)
    secret = await begin(user, made)
    assert await refusal(login(user, name)) == "", "begun is not on"
    assert await refusal(ask(user, made, "TurnOnSecondFactor", code="000000")) == "SECOND_CODE_WRONG"
    recovery = (await ask(user, made, "TurnOnSecondFactor", code=code_of(secret))).codes
    assert len(set(recovery)) == 10
    assert await is_live(user, made) and not await is_live(user, other)
    state = await ask(user, made, "GetSecondFactor")
    assert (state.on, state.required, state.recovery_codes) == (True, False, 10)
    assert await refusal(login(user, name)) == "SECOND_FACTOR_REQUIRED"
    assert await refusal(login(user, name, "12345")) == "SECOND_CODE_WRONG"
    assert await refusal(login(user, name, password="wrong password")) == "CREDENTIALS_WRONG", "says nothing more"
    assert await refusal(login(user, name, code_of(secret, 1))) == ""


async def test_a_code_counts_once_also_at_the_same_moment(user: Running) -> None:
    name, _, secret, _ = await turned_on(user)
    code = code_of(secret)
    assert await outcomes(*(login(user, name, code) for _ in range(4))) == {"": 1, "SECOND_CODE_WRONG": 3}
    assert await refusal(login(user, name, code_of(secret, -1))) == "SECOND_CODE_WRONG", "nor one before it"
    assert await refusal(login(user, name, code_of(secret, 1))) == ""


async def test_a_clock_may_be_wrong_by_one_step(user: Running) -> None:
    name, _, secret, _ = await turned_on(user)
    assert await refusal(login(user, name, code_of(secret, -4))) == "SECOND_CODE_WRONG"
    assert await refusal(login(user, name, code_of(secret, 4))) == "SECOND_CODE_WRONG"
    assert await refusal(login(user, name, f" {code_of(secret)[:3]} {code_of(secret)[3:]} ")) == ""


async def test_the_code_that_turned_it_on_does_not_log_in(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    secret = await begin(user, made)
    code = code_of(secret)
    await ask(user, made, "TurnOnSecondFactor", code=code)
    assert await refusal(login(user, name, code)) == "SECOND_CODE_WRONG"


async def test_a_recovery_code_logs_in_once(user: Running) -> None:
    name, made, _, recovery = await turned_on(user)
    assert await outcomes(*(login(user, name, recovery[0]) for _ in range(3))) == {"": 1, "SECOND_CODE_WRONG": 2}
    assert await refusal(login(user, name, recovery[1].replace("-", "").lower())) == "", "however it is typed"
    assert (await ask(user, made, "GetSecondFactor")).recovery_codes == 8
    _, _, _, of_another = await turned_on(user)
    assert await refusal(login(user, name, of_another[0])) == "SECOND_CODE_WRONG"
    renewed = (await ask(user, made, "RenewRecoveryCodes", password=PASSWORD, code=recovery[2])).codes
    assert await refusal(login(user, name, recovery[3])) == "SECOND_CODE_WRONG"
    assert await refusal(login(user, name, renewed[0])) == ""


async def test_the_chat_family_asks_for_it_too(user: Running) -> None:
    phone = new_phone()
    made = await phone_account(user, phone)
    secret = await begin(user, made)
    await ask(user, made, "TurnOnSecondFactor", code=code_of(secret))
    request = pb.LoginByPhoneRequest(phone=phone, password=PASSWORD)
    assert await refusal(user.accounts.LoginByPhone(request)) == "SECOND_FACTOR_REQUIRED"
    request.second_code = code_of(secret, 1)
    assert await refusal(user.accounts.LoginByPhone(request)) == ""


async def test_turning_it_off_takes_password_and_code(user: Running) -> None:
    name, made, secret, _ = await turned_on(user)
    off = "TurnOffSecondFactor"
    assert await refusal(ask(user, made, off, password="wrong password", code=code_of(secret))) == "CREDENTIALS_WRONG"
    assert await refusal(ask(user, made, off, password=PASSWORD)) == "SECOND_FACTOR_REQUIRED"
    assert await refusal(ask(user, made, off, password=PASSWORD, code="000")) == "SECOND_CODE_WRONG"
    assert await refusal(ask(user, made, "BeginSecondFactor", password=PASSWORD)) == "SECOND_FACTOR_ON"
    assert await refusal(ask(user, made, off, password=PASSWORD, code=code_of(secret))) == ""
    assert await refusal(ask(user, made, off, password=PASSWORD, code=code_of(secret))) == "SECOND_FACTOR_OFF"
    assert await refusal(login(user, name)) == ""
    with anonymous():
        assert await refusal(user.second_factors.BeginSecondFactor(factor_pb.BeginSecondFactorRequest())) == (
            "CALLER_MISSING"
        )


async def test_erasing_the_account_deletes_it(user: Running) -> None:
    _, made, _, _ = await turned_on(user)
    with acting(caller_of(user, made)):
        await user.accounts.DeleteAccount(pb.DeleteAccountRequest(password=PASSWORD))
    for table in ("second_factor", "recovery_code"):
        assert not await execute(user, f"SELECT FROM {table} WHERE user_id = :id", id=made.user_id)


async def test_wrong_codes_count_as_wrong_passwords(servers: Servers, tmp_path: Path) -> None:
    settings = user_settings(servers.create_database("second_guesses"), servers, tmp_path, HITOK_RATE_LIMIT_SCALE="1")
    async with running_user_service(settings) as user:
        name, _, secret, _ = await turned_on(user)
        tries = await outcomes(*(login(user, name, f"{number:03}") for number in range(70)))
        assert tries["TOO_MANY_GUESSES"] == 10 and tries["SECOND_CODE_WRONG"] == 60
        assert await refusal(login(user, name, code_of(secret))) == "TOO_MANY_GUESSES"


async def test_a_role_may_need_one(servers: Servers, tmp_path: Path) -> None:
    settings = user_settings(servers.create_database("second_role"), servers, tmp_path, HITOK_SECOND_FACTOR_ROLE="3")
    async with running_user_service(settings) as user:
        made, other = await email_account(user), await email_account(user)
        await execute(user, "UPDATE account SET role = 3 WHERE id = :id", id=made.user_id)
        ids = [caller_of(user, issued).session_id for issued in (made, other)]

        async def lacking() -> list[bool]:
            checked = (await user.sessions.CheckSessions(pb.CheckSessionsRequest(session_ids=ids))).sessions
            return [{it.session_id: it.lacks_second_factor for it in checked}[id] for id in ids]

        assert await lacking() == [True, False]
        assert (await ask(user, made, "GetSecondFactor")).required
        secret = await begin(user, made)
        assert await lacking() == [True, False], "begun is not on"
        await ask(user, made, "TurnOnSecondFactor", code=code_of(secret))
        assert await lacking() == [False, False]
        off = ask(user, made, "TurnOffSecondFactor", password=PASSWORD, code=code_of(secret, 1))
        assert await refusal(off) == "NOT_PERMITTED"
