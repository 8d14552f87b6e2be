"""Wrong passwords are limited per account, and never at the cost of its owner (docs/contract/api.md, "Consent")."""

from collections import Counter

import grpc.aio
import pytest

from gateway.http.error_answers import retry_after_of
from protos.user.v1 import accounts_pb2 as pb
from services.user.guesses import MAX_NETWORKS
from tests.support.user import (
    PASSWORD,
    Running,
    acting,
    caller_of,
    email_account,
    email_login,
    execute,
    new_name,
    new_phone,
    outcomes,
    phone_account,
    refusal,
    send_code,
)

HOME, AWAY = "198.51.100.7", "203.0.113.9"


async def guess(user: Running, name: str, ip: str, password: str = "wrong password") -> str:
    return await refusal(email_login(user, name, password, ip=ip))


async def by_phone(user: Running, phone: str, ip: str, password: str = "wrong password") -> str:
    request = pb.LoginByPhoneRequest(phone=phone, password=password, client=pb.Client(ip=ip))
    return await refusal(user.accounts.LoginByPhone(request))


async def member(user: Running) -> str:
    """The name of a user who has logged in at home."""
    name = new_name()
    await email_account(user, name)
    await email_login(user, name, ip=HOME)
    return name


async def use_up(user: Running, name: str) -> None:
    for number in range(60):
        await guess(user, name, f"192.0.2.{number}")


async def test_240_guesses_from_60_networks_are_few(user: Running) -> None:
    name = await member(user)
    results = Counter([await guess(user, name, f"192.0.2.{number % 60}") for number in range(240)])
    assert set(results) == {"CREDENTIALS_WRONG", "TOO_MANY_GUESSES"} and results["CREDENTIALS_WRONG"] <= 61


async def test_the_phone_family_has_the_same_limit_and_the_same_allowance(user: Running) -> None:
    name, phone = await member(user), new_phone()
    with acting(caller_of(user, await email_login(user, name, ip=HOME))):
        await user.accounts.BindPhone(pb.BindPhoneRequest(phone=phone, password=PASSWORD))
    await use_up(user, name)
    assert await by_phone(user, phone, AWAY) == "TOO_MANY_GUESSES"


async def test_80_guesses_at_once_are_no_more(user: Running) -> None:
    name = await member(user)
    calls = (email_login(user, name, "wrong password", ip=f"192.0.2.{number}") for number in range(80))
    assert (await outcomes(*calls))["CREDENTIALS_WRONG"] == 60


async def test_the_owner_is_not_locked_out_where_they_have_logged_in(user: Running) -> None:
    name = await member(user)
    await use_up(user, name)
    assert await guess(user, name, AWAY, PASSWORD) == "TOO_MANY_GUESSES"
    assert await guess(user, name, HOME, PASSWORD) == ""


async def test_a_known_network_has_an_end_of_guesses_too(user: Running) -> None:
    name = await member(user)
    results = [await guess(user, name, HOME) for _ in range(65)]
    assert results.count("CREDENTIALS_WRONG") <= 61 and results[-1] == "TOO_MANY_GUESSES"


async def test_right_passwords_use_nothing_up(user: Running) -> None:
    name = await member(user)
    assert {await guess(user, name, f"192.0.2.{number}", PASSWORD) for number in range(70)} == {""}
    assert await guess(user, name, AWAY) == "CREDENTIALS_WRONG"


async def test_a_refusal_says_when_to_come_again(user: Running) -> None:
    name = await member(user)
    await use_up(user, name)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await email_login(user, name, ip=AWAY)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert 1 <= (retry_after_of(refused.value) or 0) <= 600


async def test_who_does_not_exist_is_limited_like_who_does(user: Running) -> None:
    name = new_name()
    results = [await guess(user, name, f"192.0.2.{number}") for number in range(65)]
    assert results == ["CREDENTIALS_WRONG"] * 60 + ["TOO_MANY_GUESSES"] * 5


async def test_one_accounts_guesses_leave_the_others_alone(user: Running) -> None:
    one, other = await member(user), await member(user)
    await use_up(user, one)
    assert await guess(user, other, AWAY, PASSWORD) == ""


async def test_a_mailed_code_opens_a_new_network(user: Running) -> None:
    name = await member(user)
    await use_up(user, name)
    address = f"{name}@example.com"
    code = await send_code(user, address)
    request = pb.ResetPasswordRequest(email=address, code=code, password="new password", client=pb.Client(ip=AWAY))
    await user.accounts.ResetPassword(request)
    assert await guess(user, name, AWAY, "new password") == ""


async def test_a_stolen_token_buys_no_endless_guesses(user: Running) -> None:
    thief = await phone_account(user)
    with acting(caller_of(user, thief)):
        request = pb.ChangePasswordRequest(old_password="wrong password", new_password="new password")
        results = await outcomes(*(user.accounts.ChangePassword(request) for _ in range(50)))
    assert results == {"CREDENTIALS_WRONG": 20, "TOO_MANY_GUESSES": 30}


async def test_networks_are_kept_hashed_and_bounded_and_go_with_the_account(user: Running) -> None:
    name = await member(user)
    for number in range(MAX_NETWORKS + 5):
        issued = await email_login(user, name, ip=f"192.0.2.{number}")
    query = "SELECT encode(network, 'escape') FROM known_network WHERE user_id = :id"
    rows = await execute(user, query, id=issued.user_id)
    assert len(rows) == MAX_NETWORKS and "192.0.2" not in str(rows)
    with acting(caller_of(user, issued)):
        await user.accounts.DeleteAccount(pb.DeleteAccountRequest(password=PASSWORD))
    assert await execute(user, query, id=issued.user_id) == []
