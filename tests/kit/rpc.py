"""A small server with the real protos, whose answers the test decides."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import grpc.aio

from protos.user.v1 import accounts_pb2 as pb
from protos.user.v1 import users_pb2 as users_pb
from protos.user.v1.accounts_pb2_grpc import AccountsServicer, add_AccountsServicer_to_server
from protos.user.v1.users_pb2_grpc import UsersServicer, add_UsersServicer_to_server
from services.kit.config import ServiceSettings, load
from services.kit.process import server
from services.kit.rpc.channel import open_channel

PROTOS = (pb.DESCRIPTOR, users_pb.DESCRIPTOR)
SETTINGS = load(
    ServiceSettings,
    "test",
    {
        "HITOK_INTERNAL_SECRET": "internal-secret-of-the-kits-tests",
        "HITOK_NATS_URL": "nats://nowhere",
        "HITOK_REDIS_URL": "redis://nowhere",
        "HITOK_POSTGRES_URL": "postgresql://nowhere",
        "HITOK_GRPC_PORT": "0",
        "HITOK_METRICS_PORT": "0",
    },
)
Behaviour = Callable[[grpc.aio.ServicerContext[Any, Any]], Awaitable[None]]


class Scripted(UsersServicer, AccountsServicer):
    """One RPC of each kind: without side effects, idempotent, neither."""

    def __init__(self, behave: Behaviour) -> None:
        self._behave = behave

    async def BatchGetUsers(self, request: Any, context: Any) -> users_pb.BatchGetUsersResponse:
        await self._behave(context)
        return users_pb.BatchGetUsersResponse()

    async def UpdateProfile(self, request: Any, context: Any) -> users_pb.UpdateProfileResponse:
        await self._behave(context)
        return users_pb.UpdateProfileResponse()

    async def Logout(self, request: Any, context: Any) -> pb.LogoutResponse:
        await self._behave(context)
        return pb.LogoutResponse()


class Replica(NamedTuple):
    port: int
    server: grpc.aio.Server
    health: server.Health


@asynccontextmanager
async def serving(behave: Behaviour, port: int = 0, settings: ServiceSettings = SETTINGS) -> AsyncIterator[int]:
    """The port."""
    async with replica(behave, port, settings) as one:
        yield one.port


@asynccontextmanager
async def replica(behave: Behaviour, port: int = 0, settings: ServiceSettings = SETTINGS) -> AsyncIterator[Replica]:
    grpc_server, health = server.build(settings, PROTOS)
    scripted = Scripted(behave)  # type: ignore[abstract]  # the other RPCs are unimplemented
    add_UsersServicer_to_server(scripted, grpc_server)
    add_AccountsServicer_to_server(scripted, grpc_server)
    port = grpc_server.add_insecure_port(f"127.0.0.1:{port}")
    await grpc_server.start()
    await health.set_serving(True)
    try:
        yield Replica(port, grpc_server, health)
    finally:
        await grpc_server.stop(0)


def channel_to(*ports: int) -> grpc.aio.Channel:
    addresses = ",".join(f"127.0.0.1:{port}" for port in ports)
    return open_channel(f"ipv4:{addresses}" if len(ports) > 1 else addresses, SETTINGS, PROTOS)


async def succeed(_: object) -> None:
    """A behaviour."""
