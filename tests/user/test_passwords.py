"""Changing and resetting a password, and what that does to sessions."""

import asyncio
from typing import Any

import bcrypt
import grpc.aio
import pytest

from protos.user.v1 import accounts_pb2 as pb
from tests.support.user import (
    PASSWORD,
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
    refusal,
    send_code,
)

NEW = "another horse"


def changing(
    user: Running, issued: pb.Tokens, old: str = PASSWORD, new: str = NEW
) -> grpc.aio.UnaryUnaryCall[Any, Any]:
    with acting(caller_of(user, issued)):
        return user.accounts.ChangePassword(pb.ChangePasswordRequest(old_password=old, new_password=new))


def resetting(user: Running, address: str, code: str, password: str = NEW) -> grpc.aio.UnaryUnaryCall[Any, Any]:
    return user.accounts.ResetPassword(pb.ResetPasswordRequest(email=address, code=code, password=password))


async def test_a_changed_password_takes_the_place_of_the_old(user: Running) -> None:
    phone = new_phone()
    await changing(user, await phone_account(user, phone))
    assert await refusal(phone_login(user, phone, PASSWORD)) == "CREDENTIALS_WRONG"
    assert await refusal(phone_login(user, phone, NEW)) == ""


async def test_changing_it_ends_the_other_sessions_but_not_ones_own(user: Running) -> None:
    phone = new_phone()
    own = await phone_account(user, phone)
    others = [await phone_login(user, phone) for _ in range(3)]
    await changing(user, own)
    assert await is_live(user, own)
    assert not any([await is_live(user, other) for other in others])
    subject, data = (await events_of(user, own.user_id))[-1]
    assert subject == "session.revoked"
    assert set(data["session_ids"]) == {str(caller_of(user, other).session_id) for other in others}


async def test_changing_it_needs_the_old_one(user: Running) -> None:
    phone = new_phone()
    own, other = await phone_account(user, phone), await phone_login(user, phone)
    for wrong in ("wrong password", "", "x" * 73):
        assert await refusal(changing(user, own, old=wrong)) == "CREDENTIALS_WRONG"
    assert await refusal(phone_login(user, phone)) == "" and await is_live(user, other)


@pytest.mark.parametrize("new", ["", "12345", "a" * 73, "密" * 25, "1234567\0"])
async def test_a_new_password_is_held_to_the_same_bounds(user: Running, new: str) -> None:
    name = new_name()
    made = await email_account(user, name)
    assert await refusal(changing(user, made, new=new)) == "PASSWORD_INVALID"
    code = await send_code(user, f"{name}@example.com")
    assert await refusal(resetting(user, f"{name}@example.com", code, new)) == "PASSWORD_INVALID"
    assert await refusal(resetting(user, f"{name}@example.com", code)) == "", "the code was not used up"


async def test_nobody_has_no_password_to_change(user: Running) -> None:
    with anonymous():
        assert await refusal(user.accounts.ChangePassword(pb.ChangePasswordRequest())) == "CALLER_MISSING"


async def test_of_20_changes_at_once_one_takes_hold(user: Running) -> None:
    phone = new_phone()
    own = await phone_account(user, phone)
    new = [f"new password {number}" for number in range(20)]
    assert await outcomes(*(changing(user, own, new=password) for password in new)) == {"": 1, "CREDENTIALS_WRONG": 19}
    assert (await outcomes(*(phone_login(user, phone, password) for password in new)))[""] == 1


async def test_no_login_with_the_old_password_outlives_the_change(user: Running) -> None:
    for _ in range(4):
        phone = new_phone()
        own = await phone_account(user, phone)
        logins = [phone_login(user, phone) for _ in range(20)]
        results = await asyncio.gather(*logins[:10], changing(user, own), *logins[10:], return_exceptions=True)
        started = [result for result in results if isinstance(result, pb.Tokens)]
        assert not any([await is_live(user, issued) for issued in started])
        assert await is_live(user, own)


async def test_a_reset_password_takes_the_place_of_the_old_and_ends_every_session(user: Running) -> None:
    name = new_name()
    address = f"{name}@example.com"
    sessions = [await email_account(user, name), await email_login(user, name)]
    await resetting(user, address.upper(), await send_code(user, address))
    assert not any([await is_live(user, session) for session in sessions])
    assert await refusal(email_login(user, name)) == "CREDENTIALS_WRONG"
    assert await refusal(email_login(user, name, NEW)) == ""


async def test_resetting_needs_the_code_and_uses_it_up(user: Running) -> None:
    name = new_name()
    address = f"{name}@example.com"
    made = await email_account(user, name)
    code = await send_code(user, address)
    assert await refusal(resetting(user, address, f"{(int(code) + 1) % 10**6:06}")) == "CODE_INVALID"
    assert await is_live(user, made)
    assert await outcomes(*(resetting(user, address, code) for _ in range(20))) == {"": 1, "CODE_INVALID": 19}


async def test_resetting_without_an_account_tells_so_only_to_who_holds_the_address(user: Running) -> None:
    address = f"{new_name()}@example.com"
    assert await refusal(resetting(user, address, "000000")) == "CODE_INVALID"
    assert await refusal(resetting(user, address, await send_code(user, address))) == "USER_NOT_FOUND"
    assert await refusal(resetting(user, "nobody", "000000")) == "EMAIL_INVALID"


async def test_a_password_is_one_in_whatever_form_its_letters_are_typed(user: Running) -> None:
    phone, composed, decomposed = new_phone(), "caf\u00e9 pass", "cafe\u0301 pass"
    await phone_account(user, phone, password=decomposed)
    for typed in (composed, decomposed, "ｃａｆ\u00e9 pass"):
        assert await refusal(phone_login(user, phone, typed)) == ""
    assert await refusal(phone_login(user, phone, "cafe pass")) == "CREDENTIALS_WRONG"


async def test_a_hash_of_a_password_as_it_was_typed_still_serves(user: Running) -> None:
    phone, typed = new_phone(), "ｆｕｌｌ width"
    made = await phone_account(user, phone)
    old = bcrypt.hashpw(typed.encode(), bcrypt.gensalt(4)).decode()
    await execute(user, "UPDATE account SET password_hash = :old WHERE id = :id", old=old, id=made.user_id)
    assert await refusal(phone_login(user, phone, typed)) == ""
    assert await refusal(phone_login(user, phone, "full width")) == "CREDENTIALS_WRONG"


@pytest.mark.parametrize("password", ["①②", "\ufdfa" * 10, "ａ" * 25])
async def test_a_password_out_of_bounds_in_either_form_is_refused(user: Running, password: str) -> None:
    assert await refusal(phone_account(user, password=password)) == "PASSWORD_INVALID"
