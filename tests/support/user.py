"""The user service in this process, behind a real port, and what tests need to talk to it."""

import asyncio
import os
import re
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from functools import partial
from pathlib import Path
from typing import Any

import grpc.aio
import msgspec
from sqlalchemy import text

from protos.export.v1.export_pb2_grpc import ExportStub
from protos.user.v1 import accounts_pb2 as pb
from protos.user.v1 import users_pb2 as users_pb
from protos.user.v1.accounts_pb2_grpc import AccountsStub, SessionsStub
from protos.user.v1.audit_pb2_grpc import AuditStub
from protos.user.v1.exports_pb2_grpc import ExportsStub
from protos.user.v1.moderation_pb2_grpc import ModerationStub
from protos.user.v1.second_factor_pb2_grpc import SecondFactorsStub
from protos.user.v1.users_pb2_grpc import UsersStub
from services.kit import schema, tokens
from services.kit.config import Settings
from services.kit.context import ANONYMOUS, Caller, current_caller
from services.kit.errors import reason_of
from services.user.config import SERVICE, UserSettings
from services.user.proofs.mail import ascii_email
from services.user.service import MIGRATIONS, Service, open_service
from services.user.servicers import PROTOS, register
from tests.support.processes import service_settings, serving
from tests.support.servers import Servers

PASSWORD = "correct horse"


@dataclass(frozen=True, slots=True)
class Running:
    settings: UserSettings
    service: Service
    target: str
    accounts: AccountsStub
    sessions: SessionsStub
    users: UsersStub
    audit: AuditStub
    moderation: ModerationStub
    second_factors: SecondFactorsStub
    exports: ExportsStub
    export_rows: ExportStub


def user_settings(postgres_url: str, servers: Servers, folder: Path, **more: str) -> UserSettings:
    more = {"HITOK_BCRYPT_COST": "4"} | more
    return service_settings(UserSettings, SERVICE, postgres_url, servers, folder, **more)


def environment(settings: Settings) -> dict[str, str]:
    """All the environment a process of its own needs to run with `settings`."""
    values = msgspec.structs.asdict(settings)
    texts = {
        name: ",".join(map(str, value)) if isinstance(value, tuple) else str(value) for name, value in values.items()
    }
    return {"PATH": os.environ["PATH"], **{f"HITOK_{name.upper()}": text for name, text in texts.items()}}


@asynccontextmanager
async def running_user_service(settings: UserSettings) -> AsyncIterator[Running]:
    schema.upgrade(settings.postgres_url, MIGRATIONS)
    async with open_service(settings) as service:
        async with serving(settings, PROTOS, partial(register, service)) as (target, channel):
            made = (
                AccountsStub,
                SessionsStub,
                UsersStub,
                AuditStub,
                ModerationStub,
                SecondFactorsStub,
                ExportsStub,
                ExportStub,
            )
            stubs: list[Any] = [stub(channel) for stub in made]
            yield Running(settings, service, target, *stubs)


@contextmanager
def acting(caller: Caller) -> Iterator[None]:
    """The calls in the block are made for `caller`."""
    token = current_caller.set(caller)
    try:
        yield
    finally:
        current_caller.reset(token)


def anonymous() -> Any:
    return acting(ANONYMOUS)


def caller_of(running: Running, issued: pb.Tokens) -> Caller:
    claims = tokens.verify(running.settings.jwt_secret, issued.atoken, "atoken")
    return Caller(issued.user_id, claims.role, int(claims.sid))


def new_name() -> str:
    return "u" + secrets.token_hex(6)


def new_phone() -> str:
    return f"175{secrets.randbelow(10**8):08}"


def mailed_code(folder: Path, address: str) -> str:
    """The code in the newest mail to `address`."""
    return _mailed(folder, address, r"\b\d{6}\b")


def mailed_link(folder: Path, address: str) -> str:
    """The link in the newest mail to `address`."""
    return _mailed(folder, address, r"https?://\S+")


def _mailed(folder: Path, address: str, pattern: str) -> str:
    for path in sorted((folder / "mail").glob("*.eml"), reverse=True):
        mail = message_from_bytes(path.read_bytes(), policy=default)
        if mail["To"] in (address, ascii_email(address)):
            body = mail.get_body()
            assert body is not None
            found = re.search(pattern, body.get_content())
            assert found is not None
            return found.group()
    raise AssertionError(f"no mail to {address}")


async def send_code(running: Running, address: str) -> str:
    """The code that the address was mailed."""
    await running.accounts.SendCode(pb.SendCodeRequest(email=address))
    return mailed_code(Path(running.settings.var), address)


async def email_account(running: Running, name: str = "", password: str = PASSWORD) -> pb.Tokens:
    """Registered as <name>@example.com by a mailed code."""
    name = name or new_name()
    address = f"{name}@example.com"
    code = await send_code(running, address)
    return await running.accounts.RegisterByEmail(
        pb.RegisterByEmailRequest(email=address, code=code, password=password, username=name)
    )


async def phone_account(running: Running, phone: str = "", nickname: str = "", password: str = PASSWORD) -> pb.Tokens:
    return await running.accounts.RegisterByPhone(
        pb.RegisterByPhoneRequest(phone=phone or new_phone(), nickname=nickname, password=password)
    )


async def email_login(running: Running, name: str, password: str = PASSWORD, **client: Any) -> pb.Tokens:
    """As <name>@example.com."""
    return await running.accounts.LoginByEmail(
        pb.LoginByEmailRequest(email=f"{name}@example.com", password=password, client=pb.Client(**client))
    )


async def phone_login(running: Running, phone: str, password: str = PASSWORD) -> pb.Tokens:
    return await running.accounts.LoginByPhone(pb.LoginByPhoneRequest(phone=phone, password=password))


async def is_live(running: Running, issued: pb.Tokens) -> bool:
    """Whether the session of these tokens is."""
    ids = [caller_of(running, issued).session_id]
    return bool((await running.sessions.CheckSessions(pb.CheckSessionsRequest(session_ids=ids))).sessions)


async def profile(running: Running, user_id: int, viewer_id: int | None = None) -> users_pb.User:
    """As `viewer_id` sees it; as its owner does if none is given."""
    lookup = users_pb.ProfileLookup(user_id=user_id, viewer_id=user_id if viewer_id is None else viewer_id)
    return (await running.users.BatchGetProfiles(users_pb.BatchGetProfilesRequest(lookups=[lookup]))).users[0]


async def execute(running: Running, statement: str, **values: Any) -> list[Any]:
    """Of the service's own database; the rows, if there are any."""
    async with running.service.database.transaction() as connection:
        result = await connection.execute(text(statement), values)
        return list(result.all()) if result.returns_rows else []


async def events_of(running: Running, user_id: int) -> list[tuple[str, dict[str, Any]]]:
    """Subject and data of a user's events, oldest first."""
    query = "SELECT subject, data FROM outbox WHERE aggregate = :aggregate ORDER BY id"
    rows = await execute(running, query, aggregate=f"user:{user_id}")
    return [(row.subject.removeprefix("events.user."), row.data) for row in rows]


async def refusal(call: Awaitable[object]) -> str:
    """The reason of the refusal; "" if the call succeeded."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return reason_of(error)
    return ""


async def outcomes(*calls: Awaitable[object]) -> Counter[str]:
    """How often each reason occurred among concurrent calls; "" counts the successful ones."""
    return Counter(await asyncio.gather(*map(refusal, calls)))
