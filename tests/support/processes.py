"""The common parts of running a process of hitok inside a test: settings, a port, a channel."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import grpc.aio
from google.protobuf.descriptor import FileDescriptor

from services.kit import db
from services.kit.config import ServiceSettings, Settings, load
from services.kit.process.server import build
from services.kit.rpc import channel
from services.kit.rpc.channel import open_channel
from tests.support.servers import Servers

SECRETS = {
    "HITOK_INTERNAL_SECRET": "internal-secret-of-the-test-suite",
    "HITOK_JWT_SECRET": "jwt-secret-of-the-whole-test-suite",
}
S = TypeVar("S", bound=Settings)

# What a call, or a transaction without a connection, waits for before it gives up. A busy machine may stop a process
# for longer than the seconds of production; a test that is about giving up sets its own.
CALL_TIMEOUT, POOL_TIMEOUT = channel.DEFAULT_TIMEOUT, db.POOL_TIMEOUT
channel.DEFAULT_TIMEOUT = db.POOL_TIMEOUT = 20.0


def common_settings(kind: type[S], service: str, servers: Servers, **more: str) -> S:
    common = {
        "HITOK_REDIS_URL": servers.redis_url,
        "HITOK_NATS_URL": servers.nats_url,
        "HITOK_DRAIN_SECONDS": "0",
        **SECRETS,
    }
    return load(kind, service, common | more)


def service_settings(kind: type[S], service: str, postgres_url: str, servers: Servers, folder: Path, **more: str) -> S:
    return common_settings(
        kind, service, servers, **{"HITOK_POSTGRES_URL": postgres_url, "HITOK_VAR": str(folder)} | more
    )


@asynccontextmanager
async def serving(
    settings: ServiceSettings, protos: Sequence[FileDescriptor], register: Callable[[grpc.aio.Server], None]
) -> AsyncIterator[tuple[str, grpc.aio.Channel]]:
    """The target, and a channel to it, of a server with our interceptor."""
    server, health = build(settings, protos)
    register(server)
    target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    await health.set_serving(True)
    async with open_channel(target, settings, protos) as opened:
        yield target, opened
    await server.stop(0)
