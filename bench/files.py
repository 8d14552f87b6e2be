"""How fast are files served? Aim: 8 MiB ranges at least at 0.5 of the rate of the same server from memory."""

import asyncio
import os
import secrets
import statistics
import time
from typing import cast
from urllib.parse import urlsplit

import httpx

from bench.clients.load import build_request
from bench.report import row, title
from bench.servers.stack import register, running_bare, running_stack

MIB = 1_048_576
RANGE = 8 * MIB
FILE = 64 * MIB
CONNECTIONS = 4
SECONDS = 4.0
ROUNDS = 5


async def measure() -> None:
    with running_bare() as bare, running_stack() as (base, folder):
        _, token = register(base, folder)
        url = upload(base, token)
        ranges = [{"Range": f"bytes={at}-{at + RANGE - 1}"} for at in range(0, FILE - RANGE, RANGE)]
        requests = [build_request(url, headers) for headers in ranges]
        memory = bare.replace("/hello", "/bytes")
        title(f"{RANGE // MIB} MiB ranges of a file of {FILE // MIB} MiB, {CONNECTIONS} connections")
        shares = []
        for _ in range(ROUNDS):  # in turn, because the load of these machines varies
            floor = await fetch([build_request(memory, {})], memory)
            ours = await fetch(requests, url)
            row("from memory", f"{floor:.0f} MiB/s")
            row("GET /media", f"{ours:.0f} MiB/s")
            shares.append(ours / floor)
        row("share of the floor", f"{statistics.median(shares):.2f}", "aim: at least 0.5")


class Drain(asyncio.BufferedProtocol):
    """Counts the bytes and drops them, so that the client costs next to nothing."""

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(MIB))
        self._left, self._done = 0, asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._left > RANGE:  # the head has not arrived yet
            self._left = RANGE + bytes(self._buffer[:nbytes]).index(b"\r\n\r\n") + 4
        self._left -= nbytes
        if not self._left:
            self._done.set_result(None)

    async def ask(self, request: bytes) -> None:
        self._left, self._done = RANGE + 1, asyncio.get_running_loop().create_future()
        self.transport.write(request)
        await self._done


async def fetch(requests: list[bytes], url: str) -> float:
    """MiB per second, over CONNECTIONS connections."""
    parts = urlsplit(url)
    began, fetched = time.perf_counter(), 0

    async def run(number: int) -> None:
        nonlocal fetched
        _, drain = await asyncio.get_running_loop().create_connection(Drain, str(parts.hostname), int(parts.port or 80))
        while time.perf_counter() - began < SECONDS:
            await drain.ask(requests[number % len(requests)])
            number += CONNECTIONS
            fetched += RANGE
        drain.transport.close()

    await asyncio.gather(*map(run, range(CONNECTIONS)))
    return fetched / MIB / (time.perf_counter() - began)


def upload(base: str, token: str) -> str:
    """Uploads a WAV of noise; returns its url."""
    answer = httpx.post(
        f"{base}/api/file/upload",
        files={"file": (secrets.token_hex(4), noise(), "audio/wav")},
        headers={"Authorization": f"Bearer {token}"},
        timeout=120,
    )
    return str(answer.raise_for_status().json()["data"]["url"])


def noise() -> bytes:
    """A WAV of FILE bytes."""
    size = FILE - 44
    head = b"RIFF" + (size + 36).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    head += bytes.fromhex("0100020080bb000000ee02000400 1000".replace(" ", "")) + b"data" + size.to_bytes(4, "little")
    return head + os.urandom(size)
