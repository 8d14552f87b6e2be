"""Proof of phones by SMS: an unproven phone opens nothing and hinders nobody (docs/contract/api.md, "Consent")."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from protos.user.v1 import accounts_pb2 as pb
from protos.user.v1 import users_pb2 as users_pb
from services.kit.config import ConfigError
from services.user.errors import SmsFailed
from services.user.proofs.sms import SmsSender
from tests.support.user import (
    PASSWORD,
    Running,
    acting,
    caller_of,
    email_account,
    new_name,
    new_phone,
    outcomes,
    phone_account,
    profile,
    refusal,
    running_user_service,
)


@pytest.fixture
async def proving(user: Running) -> AsyncIterator[Running]:
    """The service where SMS is configured."""
    async with running_user_service(msgspec.structs.replace(user.settings, sms_url="file")) as running:
        yield running


async def code_for(running: Running, phone: str, purpose: pb.CodePurpose.ValueType = pb.CODE_FOR_ANY) -> str:
    await running.accounts.SendPhoneCode(pb.SendPhoneCodeRequest(phone=phone, purpose=purpose))
    messages = [json.loads(path.read_text()) for path in sorted((Path(running.settings.var) / "sms").glob("*.json"))]
    return str(next(message["code"] for message in reversed(messages) if message["phone"] == f"+86{phone}"))


async def register(running: Running, phone: str, code: str = "") -> pb.Tokens:
    return await running.accounts.RegisterByPhone(pb.RegisterByPhoneRequest(phone=phone, password=PASSWORD, code=code))


async def bind(running: Running, issued: pb.Tokens, phone: str, code: str = "") -> str:
    with acting(caller_of(running, issued)):
        request = pb.BindPhoneRequest(phone=phone, password=PASSWORD, code=code)
        return await refusal(running.accounts.BindPhone(request))


async def phone_of(running: Running, issued: pb.Tokens) -> str:
    return (await profile(running, issued.user_id)).phone


async def finds(running: Running, searcher: pb.Tokens, phone: str) -> list[int]:
    with acting(caller_of(running, searcher)):
        found = await running.users.SearchUsers(users_pb.SearchUsersRequest(query=phone, limit=10))
    return [each.user_id for each in found.users]


async def test_a_squatter_does_not_keep_the_owner_from_registering(proving: Running) -> None:
    phone = new_phone()
    squatter = await register(proving, phone)
    assert await refusal(register(proving, phone)) == "PHONE_TAKEN", "without proof nothing moves"
    owner = await register(proving, phone, await code_for(proving, phone, pb.CODE_FOR_REGISTERING))
    assert (await phone_of(proving, owner), await phone_of(proving, squatter)) == (phone, "")
    again = await code_for(proving, phone)
    assert await refusal(register(proving, phone, again)) == "PHONE_TAKEN", "a proven one stays with its account"


async def test_binding_with_proof_moves_the_phone(proving: Running) -> None:
    phone = new_phone()
    before, owner = await register(proving, phone, await code_for(proving, phone)), await email_account(proving)
    assert await bind(proving, owner, phone) == "PHONE_TAKEN"
    assert await bind(proving, owner, phone, "000000") == "CODE_INVALID"
    assert await bind(proving, owner, phone, await code_for(proving, phone, pb.CODE_FOR_BINDING)) == ""
    assert (await phone_of(proving, owner), await phone_of(proving, before)) == (phone, "")


async def test_of_50_who_bind_with_one_code_at_once_one_gets_the_phone(proving: Running) -> None:
    phone = new_phone()
    accounts = [await phone_account(proving) for _ in range(50)]
    code = await code_for(proving, phone)
    calls = []
    for made in accounts:
        with acting(caller_of(proving, made)):
            request = pb.BindPhoneRequest(phone=phone, password=PASSWORD, code=code)
            calls.append(proving.accounts.BindPhone(request))
    results = await outcomes(*calls)
    assert results == {"": 1, "CODE_INVALID": 49}


async def test_two_who_swap_phones_at_once_do_not_wait_for_each_other(proving: Running) -> None:
    phones = new_phone(), new_phone()
    users = [await register(proving, phone) for phone in phones]
    codes = [await code_for(proving, phone) for phone in phones]
    results = await asyncio.gather(*(bind(proving, users[i], phones[1 - i], codes[1 - i]) for i in range(2)))
    assert set(results) <= {"", "CREDENTIALS_WRONG"} and "" in results


async def test_an_unproven_phone_is_not_found_until_it_is_proven(proving: Running, user: Running) -> None:
    phone, searcher = new_phone(), await phone_account(proving)
    made = await register(proving, phone)
    with acting(caller_of(proving, made)):
        request = users_pb.UpdateProfileRequest(user_id=made.user_id, searchable_by_phone=True, username=new_name())
        await proving.users.UpdateProfile(request)
    assert await finds(proving, searcher, phone) == []
    assert await finds(user, searcher, phone) == [made.user_id], "where no SMS is configured, as before"
    assert await bind(proving, made, phone, await code_for(proving, phone)) == ""
    assert await finds(proving, searcher, phone) == [made.user_id]
    assert await bind(proving, made, phone) == ""
    assert await finds(proving, searcher, phone) == [made.user_id], "binding it again takes no proof away"


async def test_without_sms_a_code_is_not_sent_and_not_asked_for(user: Running) -> None:
    phone = new_phone()
    assert await refusal(user.accounts.SendPhoneCode(pb.SendPhoneCodeRequest(phone=phone))) == "PHONE_INVALID"
    made = await register(user, phone, "000000")
    assert await phone_of(user, made) == phone


@asynccontextmanager
async def webhook(status: str, bodies: list[bytes]) -> AsyncIterator[str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        bodies.append(await reader.readexactly(length))
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/sms"


@pytest.mark.parametrize(("status", "reason"), [("204 No Content", ""), ("500 Broken", "SMS_FAILED")])
async def test_the_webhook_gets_phone_and_code(user: Running, status: str, reason: str) -> None:
    phone, bodies = new_phone(), list[bytes]()
    async with webhook(status, bodies) as url:
        async with running_user_service(msgspec.structs.replace(user.settings, sms_url=url)) as running:
            assert await refusal(running.accounts.SendPhoneCode(pb.SendPhoneCodeRequest(phone=phone))) == reason
            sent = json.loads(bodies[0])
            registered = await refusal(register(running, phone, sent["code"]))
    assert sent["phone"] == f"+86{phone}" and registered == ("CODE_INVALID" if reason else "")


async def test_a_webhook_that_has_moved_has_sent_nothing(user: Running) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        answers = {b"POST": "301 Moved\r\nLocation: /elsewhere", b"GET ": "200 OK"}
        writer.write(f"HTTP/1.1 {answers[head[:4]]}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/sms"
        sender = SmsSender(msgspec.structs.replace(user.settings, sms_url=url))
        with pytest.raises(SmsFailed):
            await sender.send_code("+8617500000001", "123456", 5)


def test_an_address_that_is_no_webhook_is_a_config_error(user: Running) -> None:
    with pytest.raises(ConfigError, match="HITOK_SMS_URL"):
        SmsSender(msgspec.structs.replace(user.settings, sms_url="ftp://example.com"))
