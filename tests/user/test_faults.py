"""What the service answers while a server it needs is away, and after."""

import asyncio
import time
from collections.abc import Awaitable
from pathlib import Path

import msgspec

from protos.user.v1 import accounts_pb2 as pb
from protos.user.v1 import users_pb2 as users_pb
from tests.support.servers import frozen, private_postgres, private_valkey
from tests.support.user import (
    PASSWORD,
    Running,
    acting,
    caller_of,
    new_phone,
    outcomes,
    phone_account,
    phone_login,
    profile,
    refusal,
    running_user_service,
)


async def test_with_valkey_away_codes_are_unavailable_and_the_rest_works(user: Running, tmp_path: Path) -> None:
    with private_valkey(tmp_path) as valkey:
        async with running_user_service(msgspec.structs.replace(user.settings, redis_url=valkey.url)) as running:
            phone = new_phone()
            address = f"{phone}@example.com"

            def needing_codes() -> list[Awaitable[object]]:
                email = pb.SendCodeRequest(email=address)
                register = pb.RegisterByEmailRequest(email=address, code="1", password=PASSWORD, username=f"u{phone}")
                reset = pb.ResetPasswordRequest(email=address, code="1", password=PASSWORD)
                accounts = running.accounts
                return [accounts.SendCode(email), accounts.RegisterByEmail(register), accounts.ResetPassword(reset)]

            assert (await outcomes(*needing_codes()))["CODE_INVALID"] == 2
            valkey.kill()
            started = time.monotonic()
            assert await outcomes(*needing_codes()) == {"CACHE_UNAVAILABLE": 3}
            assert time.monotonic() - started < 1
            made = await phone_account(running, phone)
            assert (await phone_login(running, phone)).user_id == made.user_id
            assert (await profile(running, made.user_id)).phone == phone
            with acting(caller_of(running, made)):
                update = users_pb.UpdateProfileRequest(user_id=made.user_id, bio="x")
                assert await refusal(running.users.UpdateProfile(update)) == ""
            valkey.start()
            assert await refusal(running.accounts.SendCode(pb.SendCodeRequest(email=address))) == ""
            with frozen(valkey):
                started = time.monotonic()
                assert await outcomes(*needing_codes()) == {"CACHE_UNAVAILABLE": 3}
                assert time.monotonic() - started < 2
            assert await refusal(running.accounts.SendCode(pb.SendCodeRequest(email=address))) == ""


async def test_with_postgres_away_everything_is_unavailable_at_once_and_well_after(
    user: Running, tmp_path: Path
) -> None:
    with private_postgres(tmp_path) as postgres:
        async with running_user_service(msgspec.structs.replace(user.settings, postgres_url=postgres.url)) as running:
            phone = new_phone()
            made = await phone_account(running, phone)
            ask = pb.CheckSessionsRequest(session_ids=[caller_of(running, made).session_id])
            postgres.kill()
            started = time.monotonic()
            assert await outcomes(
                phone_login(running, phone),
                phone_account(running),
                profile(running, made.user_id),
                running.sessions.CheckSessions(ask),
            ) == {"DATABASE_UNAVAILABLE": 4}
            assert time.monotonic() - started < 1
            postgres.start()
            assert await refusal(phone_login(running, phone)) == ""
            assert (await profile(running, made.user_id)).phone == phone
            with frozen(postgres):
                results = await outcomes(*(profile(running, made.user_id) for _ in range(15)))
                assert set(results) <= {"DATABASE_UNAVAILABLE", "UNAVAILABLE"}
            deadline = time.monotonic() + 3
            while await refusal(profile(running, made.user_id)):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
