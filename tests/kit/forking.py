"""Starts children in a process that serves gRPC on uvloop, as the media service does; prints how each ended."""

import asyncio
import sys
from collections import Counter

import uvloop

from protos.user.v1.users_pb2 import BatchGetUsersRequest
from protos.user.v1.users_pb2_grpc import UsersStub
from services.kit.rpc.channel import open_channel
from tests.kit.rpc import PROTOS, SETTINGS, serving, succeed

CHILDREN, AT_ONCE = 100, 4


async def start_children() -> Counter[int]:
    codes, places = Counter[int](), asyncio.Semaphore(AT_ONCE)

    async def start() -> None:
        async with places:
            child = await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", "")
            codes[await child.wait()] += 1

    await asyncio.gather(*(start() for _ in range(CHILDREN)))
    return codes


async def main() -> None:
    async with serving(succeed) as port, open_channel(f"127.0.0.1:{port}", SETTINGS, PROTOS) as channel:
        stub, started = UsersStub(channel), asyncio.create_task(start_children())

        async def call() -> None:
            while not started.done():
                await stub.BatchGetUsers(BatchGetUsersRequest(), timeout=30)

        await asyncio.gather(*(call() for _ in range(4)))
        print(dict(started.result()))


def run() -> None:
    uvloop.run(main())
