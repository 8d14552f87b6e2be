"""Binding an email or a phone, so that one person may log in from either family."""

from typing import Any

import grpc.aio

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
    new_name,
    new_phone,
    outcomes,
    phone_account,
    phone_login,
    profile,
    refusal,
    send_code,
)


def binding_email(
    user: Running, issued: pb.Tokens, address: str, code: str, password: str = PASSWORD
) -> grpc.aio.UnaryUnaryCall[Any, Any]:
    with acting(caller_of(user, issued)):
        return user.accounts.BindEmail(pb.BindEmailRequest(email=address, code=code, password=password))


def binding_phone(
    user: Running, issued: pb.Tokens, phone: str, password: str = PASSWORD
) -> grpc.aio.UnaryUnaryCall[Any, Any]:
    with acting(caller_of(user, issued)):
        return user.accounts.BindPhone(pb.BindPhoneRequest(phone=phone, password=password))


async def test_a_phone_account_with_an_email_logs_in_from_the_other_family(user: Running) -> None:
    phone, name = new_phone(), new_name()
    made = await phone_account(user, phone)
    address = f"{name}@example.com"
    await binding_email(user, made, address.upper(), await send_code(user, address))
    by_email, by_phone = await email_login(user, name), await phone_login(user, phone)
    assert by_email.user_id == by_phone.user_id == made.user_id
    assert (await profile(user, made.user_id)).email == address
    assert (await events_of(user, made.user_id))[-1][0] == "profile.updated"


async def test_an_email_account_with_a_phone_logs_in_from_the_other_family(user: Running) -> None:
    phone, name = new_phone(), new_name()
    made = await email_account(user, name)
    await binding_phone(user, made, f"+86 {phone}")
    assert await refusal(binding_phone(user, made, phone)) == "", "a retry"
    assert (await phone_login(user, phone)).user_id == (await email_login(user, name)).user_id == made.user_id
    assert (await profile(user, made.user_id)).phone == phone


async def test_a_newly_bound_email_takes_the_place_of_the_old_and_frees_it(user: Running) -> None:
    old, new = new_name(), new_name()
    made = await email_account(user, old)
    await binding_email(user, made, f"{new}@example.com", await send_code(user, f"{new}@example.com"))
    assert await refusal(email_login(user, old)) == "CREDENTIALS_WRONG"
    assert (await email_login(user, new)).user_id == made.user_id
    code = await send_code(user, f"{old}@example.com")
    request = pb.RegisterByEmailRequest(email=f"{old}@example.com", code=code, password=PASSWORD, username=new_name())
    assert (await user.accounts.RegisterByEmail(request)).user_id != made.user_id


async def test_binding_an_email_needs_password_and_code(user: Running) -> None:
    made, address = await phone_account(user), f"{new_name()}@example.com"
    code = await send_code(user, address)
    assert await refusal(binding_email(user, made, address, code, "wrong password")) == "CREDENTIALS_WRONG"
    assert await refusal(binding_email(user, made, address, f"{(int(code) + 1) % 10**6:06}")) == "CODE_INVALID"
    assert await refusal(binding_email(user, made, "nobody", code)) == "EMAIL_INVALID"
    assert (await profile(user, made.user_id)).email == ""
    assert await refusal(binding_email(user, made, address, code)) == ""


async def test_binding_a_phone_needs_the_password(user: Running) -> None:
    made, phone = await email_account(user), new_phone()
    assert await refusal(binding_phone(user, made, phone, "wrong password")) == "CREDENTIALS_WRONG"
    assert await refusal(binding_phone(user, made, "12345")) == "PHONE_INVALID"
    assert (await profile(user, made.user_id)).phone == ""


async def test_anothers_email_or_phone_cannot_be_bound(user: Running) -> None:
    name, phone = new_name(), new_phone()
    by_email, by_phone = await email_account(user, name), await phone_account(user, phone)
    code = await send_code(user, f"{name}@example.com")
    assert await refusal(binding_email(user, by_phone, f"{name}@example.com", code)) == "EMAIL_TAKEN"
    assert await refusal(binding_phone(user, by_email, phone)) == "PHONE_TAKEN"


async def test_of_20_who_bind_one_phone_at_once_one_gets_it(user: Running) -> None:
    accounts, phone = [await email_account(user) for _ in range(20)], new_phone()
    assert await outcomes(*(binding_phone(user, made, phone) for made in accounts)) == {"": 1, "PHONE_TAKEN": 19}


async def test_nobody_cannot_bind(user: Running) -> None:
    with anonymous():
        assert await refusal(user.accounts.BindPhone(pb.BindPhoneRequest(phone=new_phone()))) == "CALLER_MISSING"
        assert await refusal(user.accounts.BindEmail(pb.BindEmailRequest(email="a@b.co"))) == "CALLER_MISSING"
