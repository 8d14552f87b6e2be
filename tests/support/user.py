"""The user service in this process, behind a real port, and what tests need to talk to it."""

import re
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import grpc.aio

from protos.user.v1 import accounts_pb2 as pb
from protos.user.v1.accounts_pb2_grpc import AccountsStub, SessionsStub
from protos.user.v1.users_pb2_grpc import UsersStub
from services.kit import migrate, tokens
from services.kit.channel import open_channel
from services.kit.config import load
from services.kit.context import ANONYMOUS, Caller, current_caller
from services.kit.server import build
from services.user.config import SERVICE, UserSettings
from services.user.service import MIGRATIONS, Service, open_service
from services.user.servicers import PROTOS, register
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


def user_settings(postgres_url: str, servers: Servers, folder: Path, **more: str) -> UserSettings:
    return load(
        UserSettings,
        SERVICE,
        {
            "HITOK_POSTGRES_URL": postgres_url,
            "HITOK_REDIS_URL": servers.redis_url,
            "HITOK_NATS_URL": servers.nats_url,
            "HITOK_INTERNAL_SECRET": "internal-secret-of-the-test-suite",
            "HITOK_JWT_SECRET": "jwt-secret-of-the-whole-test-suite",
            "HITOK_VAR": str(folder),
            "HITOK_BCRYPT_COST": "4",
            "HITOK_DRAIN_SECONDS": "0",
            **more,
        },
    )


@asynccontextmanager
async def running_user_service(settings: UserSettings) -> AsyncIterator[Running]:
    migrate.upgrade(settings.postgres_url, MIGRATIONS)
    async with open_service(settings) as service:
        server, health = build(settings, PROTOS)
        register(service, server)
        target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        await health.set_serving(True)
        async with open_channel(target, settings, PROTOS) as channel:
            yield Running(settings, service, target, AccountsStub(channel), SessionsStub(channel), UsersStub(channel))
        await server.stop(0)


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
    for path in sorted((folder / "mail").glob("*.eml"), reverse=True):
        mail = message_from_bytes(path.read_bytes(), policy=default)
        if mail["To"] == address:
            body = mail.get_body()
            assert body is not None
            found = re.search(r"\b\d{6}\b", body.get_content())
            assert found is not None
            return found.group()
    raise AssertionError(f"no mail to {address}")


async def email_account(running: Running, name: str = "", password: str = PASSWORD) -> pb.Tokens:
    """Registered as <name>@example.com by a mailed code."""
    name = name or new_name()
    address = f"{name}@example.com"
    await running.accounts.SendCode(pb.SendCodeRequest(email=address))
    code = mailed_code(Path(running.settings.var), address)
    return await running.accounts.RegisterByEmail(
        pb.RegisterByEmailRequest(email=address, code=code, password=password, username=name)
    )
