"""Clients that take all the time they can get, as a fault: what they take of the gateway, and how others fare."""

import asyncio
import json
import os
import random
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from io import BytesIO
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
from PIL import Image

from bench.clients.load import quantile
from bench.servers.processes import allow_many_files, resident
from tests.e2e.chaos.faults import Fault
from tests.e2e.everything import Everything
from tests.e2e.people import register_by_phone
from tests.support.gateway import FrontEnd

MEMORY, DESCRIPTORS = 150, 20  # MiB that the gateway may take for the crowd, and what may be open once it has gone
PATIENCE = 3.0  # seconds that another's answer may take, at the worst
GONE_SECONDS = 30


class Crowd(NamedTuple):
    downloads: int  # of a file of a megabyte or more, of which nothing is read
    uploads: int  # at a byte per second
    heads: int  # requests whose head ends in the middle
    answers: int  # that are not read
    sockets: int  # WebSockets on which nothing is read


WHOLE, FEW = Crowd(200, 200, 100, 200, 500), Crowd(20, 20, 10, 20, 50)


def crowding(crowd: Crowd, seconds: float, told: list[str]) -> Fault:
    """Appends to `told` what it took, and fails if that is too much."""

    async def fault(running: Everything, dice: random.Random) -> float:
        allow_many_files()
        async with httpx.AsyncClient(base_url=running.urls[0], timeout=30) as http:
            person, _ = await register_by_phone(http)
            files = {"file": ("noise.jpg", noise())}
            url = (await person.call("POST", "/api/file/upload", files=files)).json()["data"]["url"]
            pid = running.pid_of("gateway")
            before, open_before, most, slow = resident(pid), descriptors(pid), 0.0, list[float]()
            ends = time.monotonic() + seconds
            with ExitStack() as stack:
                clients = await asyncio.to_thread(come, stack, running.urls[0], requests(crowd, person, url))
                while time.monotonic() < ends:
                    slow.append(await answered(person))
                    most = max(most, resident(pid) - before)
                    if len(slow) % 10 == 1:
                        for client in clients[crowd.downloads : crowd.downloads + crowd.uploads]:
                            with suppress(OSError):
                                client.send(b"x")
                    await asyncio.sleep(0.1)
                held = descriptors(pid) - open_before
            async with asyncio.timeout(GONE_SECONDS):
                while (left := descriptors(pid) - open_before) > DESCRIPTORS:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        worst = max(slow)
        told.append(
            f"{sum(crowd)} clients: {held} descriptors, {left} after, {most / 1024:.0f} MiB; "
            f"others p50 {quantile(slow, 0.5):.0f} ms, at most {worst * 1000:.0f}"
        )
        assert most < MEMORY * 1024 and worst < PATIENCE, told[-1]
        return time.monotonic()

    return fault


def noise() -> bytes:
    """A picture that does not fit into the buffers of a connection."""
    file = BytesIO()
    Image.frombytes("RGB", (1_000, 1_000), os.urandom(3_000_000)).save(file, "JPEG", quality=95)
    return file.getvalue()


def requests(crowd: Crowd, person: FrontEnd, url: str) -> list[bytes]:
    path = httpx.URL(url).raw_path.decode()
    upload = (
        b"POST /api/file/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    upgrade = (
        b"GET /api/chat/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    hello = json.dumps({"type": "hello", "id": "1", "data": {"version": 1, "device_id": "x", "token": person.token}})
    frame = b"\x81\xfe" + len(hello).to_bytes(2, "big") + bytes(4) + hello.encode()  # masked with zeros
    return [
        *[f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()] * crowd.downloads,
        *[upload] * crowd.uploads,
        *[b"GET /api/videos HTTP/1.1\r\nHos"] * crowd.heads,
        *[b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"] * crowd.answers,
        *[upgrade + frame] * crowd.sockets,
    ]


def come(stack: ExitStack, url: str, requests: Sequence[bytes]) -> list[socket.socket]:
    clients = []
    for request in requests:
        client = stack.enter_context(socket.socket())
        client.settimeout(10)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect((str(urlsplit(url).hostname), int(urlsplit(url).port or 80)))
        client.setblocking(False)
        client.send(request)
        clients.append(client)
    return clients


async def answered(person: FrontEnd) -> float:
    began = time.monotonic()
    await person.get("/api/user/get-my-info")
    return time.monotonic() - began


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
