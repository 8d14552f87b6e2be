"""Mailed codes: login/send-code in api.md."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from redis.asyncio import Redis

from gateway.http.error_answers import retry_after_of
from protos.user.v1 import accounts_pb2 as pb
from services.kit.errors import reason_of
from tests.support.user import (
    PASSWORD,
    Running,
    email_account,
    email_login,
    mailed_code,
    new_name,
    outcomes,
    refusal,
    send_code,
)


def new_address() -> str:
    return f"{new_name()}@example.com"


def wrong(code: str, by: int = 1) -> str:
    return f"{(int(code) + by) % 10**6:06}"


def registering(user: Running, address: str, code: str) -> grpc.aio.UnaryUnaryCall[Any, Any]:
    return user.accounts.RegisterByEmail(
        pb.RegisterByEmailRequest(email=address, code=code, password=PASSWORD, username=new_name())
    )


@asynccontextmanager
async def watching(url: str, commands: list[str]) -> AsyncIterator[None]:
    """Every command the server runs, those inside scripts included, while the block does."""
    async with Redis.from_url(url) as redis, redis.monitor() as monitor:

        async def watch() -> None:
            async for command in monitor.listen():
                commands.append(command["command"])  # noqa: PERF401

        task = asyncio.create_task(watch())
        yield
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait([task])


async def test_the_mail_names_a_six_digit_code_and_its_lifetime(user: Running) -> None:
    address = new_address()
    code = await send_code(user, address)
    mails = [
        message_from_bytes(path.read_bytes(), policy=default)
        for path in (Path(user.settings.var) / "mail").glob("*.eml")
    ]
    mail = next(mail for mail in mails if mail["To"] == address)
    assert len(code) == 6 and code in mail["Subject"]
    assert "5 minutes" in mail.get_content()
    assert mail["From"] == user.settings.mail_from and mail["Message-ID"] and mail["Date"]


async def test_a_code_is_kept_hashed_and_for_five_minutes(user: Running) -> None:
    address = new_address()
    code = await send_code(user, address)
    async with Redis.from_url(user.settings.redis_url, decode_responses=True) as redis:
        key = user.service.codes._key(address)
        assert 290 < await redis.ttl(key) <= 300
        assert code not in str(await redis.hgetall(key)) and address not in key


async def test_an_expired_code_is_invalid(user: Running) -> None:
    address = new_address()
    code = await send_code(user, address)
    async with Redis.from_url(user.settings.redis_url) as redis:
        await redis.pexpire(user.service.codes._key(address), 1)
    await asyncio.sleep(0.01)
    assert await refusal(registering(user, address, code)) == "CODE_INVALID"


async def test_a_new_code_replaces_the_old(user: Running) -> None:
    address = new_address()
    old = await send_code(user, address)
    new = await send_code(user, address)
    if old != new:
        assert await refusal(registering(user, address, old)) == "CODE_INVALID"
    assert await refusal(registering(user, address, new)) == ""


async def test_a_code_works_once(user: Running) -> None:
    address = new_address()
    code = await send_code(user, address)
    assert await refusal(registering(user, address, code)) == ""
    assert await refusal(registering(user, address, code)) == "CODE_INVALID"


async def test_a_code_is_for_its_own_address_only(user: Running) -> None:
    code = await send_code(user, new_address())
    assert await refusal(registering(user, new_address(), code)) == "CODE_INVALID"


async def test_an_address_in_other_letters_is_the_same_address(user: Running) -> None:
    address = new_address()
    code = await send_code(user, address)
    assert await refusal(registering(user, f" {address.upper()} ", code)) == ""


@pytest.mark.parametrize("code", ["", "1", "12345", "1234567", "１２３４５６", "\0" * 6, "x" * 100_000])
async def test_what_is_no_code_is_invalid(user: Running, code: str) -> None:
    address = new_address()
    await send_code(user, address)
    assert await refusal(registering(user, address, code)) == "CODE_INVALID"


async def test_four_wrong_guesses_leave_the_code_good(user: Running) -> None:
    address = new_address()
    code = await send_code(user, address)
    for by in range(1, 5):
        assert await refusal(registering(user, address, wrong(code, by))) == "CODE_INVALID"
    assert await refusal(registering(user, address, code)) == ""


async def test_the_fifth_wrong_guess_voids_the_code(user: Running) -> None:
    address = new_address()
    code = await send_code(user, address)
    for by in range(1, 6):
        assert await refusal(registering(user, address, wrong(code, by))) == "CODE_INVALID"
    assert await refusal(registering(user, address, code)) == "CODE_INVALID"


async def test_of_50_guesses_at_once_at_most_5_are_evaluated(user: Running) -> None:
    address = new_address()
    code = await send_code(user, address)
    key = user.service.codes._key(address)
    commands: list[str] = []
    async with watching(user.settings.redis_url, commands):
        results = await outcomes(*(registering(user, address, wrong(code, by)) for by in range(1, 51)))
    assert results == {"CODE_INVALID": 50}
    evaluated = [command for command in commands if command.startswith(f"HGET {key} ")]
    assert 1 <= len(evaluated) <= 5
    assert await refusal(registering(user, address, code)) == "CODE_INVALID"


async def test_of_50_wrong_and_right_guesses_at_once_one_succeeds_at_most(user: Running) -> None:
    address = new_address()
    code = await send_code(user, address)
    guesses = [wrong(code, by) if by % 2 else code for by in range(1, 51)]
    results = await outcomes(*(registering(user, address, guess) for guess in guesses))
    assert results == {"": 1, "CODE_INVALID": 49}


async def test_registering_with_one_code_50_times_at_once_gives_one_account(user: Running) -> None:
    address = new_address()
    code = await send_code(user, address)
    assert await outcomes(*(registering(user, address, code) for _ in range(50))) == {"": 1, "CODE_INVALID": 49}


async def test_an_eleventh_code_a_day_is_refused_and_says_until_when(user: Running) -> None:
    address = new_address()
    for _ in range(10):
        code = await send_code(user, address)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await send_code(user, address)
    assert reason_of(refused.value) == "TOO_MANY_CODES"
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert 86_000 < (retry_after_of(refused.value) or 0) <= 86_400
    assert await refusal(registering(user, address, code)) == "", "the tenth stays good"


async def test_of_50_codes_asked_for_at_once_10_are_sent(user: Running) -> None:
    address = new_address()
    calls = (user.accounts.SendCode(pb.SendCodeRequest(email=address)) for _ in range(50))
    assert await outcomes(*calls) == {"": 10, "TOO_MANY_CODES": 40}


async def test_the_days_limit_counts_an_address_in_any_letters(user: Running) -> None:
    address = new_address()
    for _ in range(10):
        await send_code(user, address)
    assert await refusal(user.accounts.SendCode(pb.SendCodeRequest(email=address.upper()))) == "TOO_MANY_CODES"


async def test_sending_answers_alike_with_and_without_an_account(user: Running) -> None:
    name = new_name()
    await email_account(user, name)
    known = await user.accounts.SendCode(pb.SendCodeRequest(email=f"{name}@example.com"))
    assert known == await user.accounts.SendCode(pb.SendCodeRequest(email=new_address()))
    assert (await email_login(user, name)).atoken


@pytest.mark.parametrize(
    "address",
    [
        "",
        "x",
        "=?utf-8?q?x?=@example.com",
        "@example.com",
        "a@",
        "a b@example.com",
        "a@b\n.com",
        "a@b.com\0",
        "a@[127.0.0.1]",
        "a" * 250 + "@b.co",
    ],
)
async def test_no_code_goes_to_what_is_no_address(user: Running, address: str) -> None:
    assert await refusal(user.accounts.SendCode(pb.SendCodeRequest(email=address))) == "EMAIL_INVALID"


async def test_an_international_address_gets_its_code(user: Running) -> None:
    address = f"{new_name()}@例子.中国"
    assert len(await send_code(user, address)) == 6


# -- what others do to an address's codes ------------------------------------------------------------------------------

HOME, AWAY = "198.51.100.7", "203.0.113.9"


async def code_for(user: Running, address: str, purpose: pb.CodePurpose.ValueType, ip: str = "") -> str:
    await user.accounts.SendCode(pb.SendCodeRequest(email=address, purpose=purpose, client=pb.Client(ip=ip)))
    return mailed_code(Path(user.settings.var), address)


def registering_at(user: Running, address: str, code: str, ip: str) -> grpc.aio.UnaryUnaryCall[Any, Any]:
    request = pb.RegisterByEmailRequest(email=address, code=code, password=PASSWORD, username=new_name())
    request.client.ip = ip
    return user.accounts.RegisterByEmail(request)


async def test_a_code_for_one_purpose_serves_no_other(user: Running) -> None:
    address = new_address()
    resetting = await code_for(user, address, pb.CODE_FOR_RESETTING)
    for _ in range(10):
        assert await refusal(registering(user, address, resetting)) == "CODE_INVALID"
    reset = pb.ResetPasswordRequest(email=address, code=resetting, password=PASSWORD)
    assert await refusal(user.accounts.ResetPassword(reset)) == "USER_NOT_FOUND", "wrong uses did not use it up"
    assert await refusal(registering(user, address, await code_for(user, address, pb.CODE_FOR_REGISTERING))) == ""


async def test_strangers_cannot_void_a_code(user: Running) -> None:
    address = new_address()
    code = await code_for(user, address, pb.CODE_FOR_ANY, HOME)
    guesses = (registering_at(user, address, wrong(code, by + 1), f"192.0.2.{by}") for by in range(50))
    assert await outcomes(*guesses) == {"CODE_INVALID": 50}
    assert await refusal(registering_at(user, address, code, AWAY)) == "CODE_INVALID", "strangers have had their tries"
    assert await refusal(registering_at(user, address, code, HOME)) == ""


async def test_strangers_cannot_replace_a_code(user: Running) -> None:
    address = new_address()
    code = await code_for(user, address, pb.CODE_FOR_ANY, HOME)
    await code_for(user, address, pb.CODE_FOR_ANY, AWAY)
    assert await refusal(registering_at(user, address, code, HOME)) == ""


async def test_a_code_is_good_on_another_network_than_the_one_that_asked(user: Running) -> None:
    address = new_address()
    code = await code_for(user, address, pb.CODE_FOR_ANY, HOME)
    assert await refusal(registering_at(user, address, wrong(code), AWAY)) == "CODE_INVALID"
    assert await refusal(registering_at(user, address, code, AWAY)) == ""


async def test_strangers_cannot_use_up_the_days_codes_of_a_network_that_the_account_knows(user: Running) -> None:
    name = new_name()
    address = f"{name}@example.com"
    await email_account(user, name)
    await email_login(user, name, ip=HOME)
    calls = (code_for(user, address, pb.CODE_FOR_ANY, f"192.0.2.{number}") for number in range(20))
    assert (await outcomes(*calls))["TOO_MANY_CODES"] >= 10
    assert await refusal(code_for(user, address, pb.CODE_FOR_RESETTING, HOME)) == ""


async def test_tags_of_one_mailbox_count_as_one_address(user: Running) -> None:
    name = new_name()
    for number in range(10):
        await send_code(user, f"{name}+{number}@example.com")
    assert await refusal(send_code(user, f"{name}+more@example.com")) == "TOO_MANY_CODES"
    assert await refusal(send_code(user, f"{name}@example.com")) == "TOO_MANY_CODES"
    assert await refusal(send_code(user, f"{name}@example.org")) == ""
