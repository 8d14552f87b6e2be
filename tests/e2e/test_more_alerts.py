"""More alerts of a running hitok: each fires for its cause, and goes quiet once that is mended (`make alerts`)."""

import asyncio
import json
import os
import resource
import shutil
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import nats
import psycopg
import pytest
import trustme
from nats.js.api import DiscardPolicy

from bench.clients.load import build_request
from bench.clients.open_load import OpenLoad
from deploy.local.ports import find_free_port
from services.kit.events.stream import STREAM
from services.kit.rpc import tls
from tests.e2e.chaos.disk import Disk
from tests.e2e.everything import Everything, everything
from tests.e2e.people import register_by_phone
from tests.e2e.test_alerts import long, query, repeating, scraping, signal_all, wait
from tests.kit.test_tls import certify
from tests.support.gateway import FrontEnd
from tests.support.media import png, video
from tests.support.prometheus import Prometheus, find_program
from tests.support.servers import find_family, temporary_folder
from tests.support.sockets import Refusal, Socket, open_socket
from tests.support.user import new_phone

pytestmark = long
SMS_PORT, OLD_PORT = find_free_port(), find_free_port()
SERVICES = ("gateway", "user", "social", "media", "chat")
REMOVED_FRIENDS = """INSERT INTO outbox (subject, aggregate, data)
 SELECT 'events.social.friend.removed', 'x', '{"actor_id": "1", "user_id": "2"}' FROM generate_series(1, 1500)"""


@dataclass
class World:
    running: Everything
    prometheus: Prometheus
    http: httpx.AsyncClient
    user: FrontEnd
    disk: Disk
    authority: trustme.CA
    files: tls.Files


Breaking = Callable[[World], AbstractAsyncContextManager[None]]
Load = Callable[[World], Awaitable[object]]


@pytest.fixture(scope="module")
def disk() -> Iterator[Disk]:
    find_program("prometheus")  # or skip before anything starts
    if not Disk.is_possible():
        pytest.skip("needs root with the right to mount a disk")
    with temporary_folder() as folder:
        disk = Disk(folder / "disk", 2_000)
        yield disk
        disk.close()


@pytest.fixture(scope="module")
async def world(disk: Disk, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder, authority = tmp_path_factory.mktemp("alerts"), trustme.CA()
    files = certify(folder, authority)
    renew(authority, files, 13)
    settings = {
        "HITOK_SMS_URL": f"http://127.0.0.1:{SMS_PORT}",
        "HITOK_WORKERS": "0",
        "HITOK_USER_POSTGRES_POOL": "1",
        "HITOK_DRAIN_SECONDS": "0",
        **{f"HITOK_TLS_{name.upper()}": path for name, path in files._asdict().items()},
    }
    with everything(disk.path / "var", 1, ha=False, **settings) as running, scraping(running, folder, OLD_PORT) as seen:
        async with httpx.AsyncClient(base_url=running.urls[0], timeout=10) as http:
            yield World(running, seen, http, (await register_by_phone(http))[0], disk, authority, files)


def renew(authority: trustme.CA, files: tls.Files, days: int) -> None:
    certificate = authority.issue_cert("127.0.0.1", not_after=datetime.now(UTC) + timedelta(days=days))
    certificate.cert_chain_pems[0].write_to_path(files.cert)
    certificate.private_key_pem.write_to_path(files.key)


# -- causes ------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def away(folder: Path) -> AsyncIterator[None]:
    """A file is where the folder was."""
    kept = folder.with_name("kept")
    shutil.move(folder, kept)
    await asyncio.to_thread(folder.touch)
    try:
        yield
    finally:
        await asyncio.to_thread(folder.unlink)
        shutil.move(kept, folder)


def store_broken(world: World) -> AbstractAsyncContextManager[None]:
    return away(world.running.var / "media")


def table_renamed(service: str, table: str) -> Breaking:
    @asynccontextmanager
    async def rename(world: World) -> AsyncIterator[None]:
        query(world.running, service, f"ALTER TABLE {table} RENAME TO {table}_away")
        try:
            yield
        finally:
            query(world.running, service, f"ALTER TABLE {table}_away RENAME TO {table}")

    return rename


@asynccontextmanager
async def members_missing(world: World) -> AsyncIterator[None]:
    """Also for a socket that was opened before."""
    async with (
        open_socket(world.running.urls[0], world.user.token) as socket,
        table_renamed("chat", "conversation_member")(world),
        repeating(lambda: ask_in_vain(socket)),
    ):
        yield


async def ask_in_vain(socket: Socket) -> None:
    with suppress(Refusal, TimeoutError):
        await socket.ask("conversations")
    await asyncio.sleep(0.1)


@asynccontextmanager
async def nats_killed(world: World) -> AsyncIterator[None]:
    async with open_socket(world.running.urls[0], world.user.token):
        os.kill(world.running.pid_of("nats"), signal.SIGKILL)
        yield


@asynccontextmanager
async def stream_full(world: World) -> AsyncIterator[None]:
    settings = json.loads((world.running.var / "settings" / "user.json").read_bytes())
    client = await nats.connect(settings["HITOK_NATS_URL"])
    stream = client.jetstream()
    found = await stream.stream_info(STREAM)
    await stream.update_stream(found.config, max_msgs=found.state.messages, discard=DiscardPolicy.NEW)
    try:
        yield
    finally:
        await stream.update_stream(found.config)
        await client.close()


@asynccontextmanager
async def relationships_locked(world: World) -> AsyncIterator[None]:
    settings = json.loads((world.running.var / "settings" / "media.json").read_bytes())
    async with await psycopg.AsyncConnection.connect(settings["HITOK_MEDIA_POSTGRES_URL"]) as connection:
        await connection.execute("LOCK TABLE standing")
        query(world.running, "social", REMOVED_FRIENDS)
        yield


@asynccontextmanager
async def accounts_locked(world: World) -> AsyncIterator[None]:
    settings = json.loads((world.running.var / "settings" / "user.json").read_bytes())
    async with await psycopg.AsyncConnection.connect(settings["HITOK_USER_POSTGRES_URL"]) as connection:
        await connection.execute("LOCK TABLE account")
        yield


@asynccontextmanager
async def few_descriptors(world: World) -> AsyncIterator[None]:
    pid = world.running.pid_of("gateway")
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    taken = len(list(await asyncio.to_thread(os.scandir, f"/proc/{pid}/fd")))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (round(taken / 0.9), before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


@asynccontextmanager
async def halting(world: World) -> AsyncIterator[None]:
    """The user service stops for 2.7 s again and again."""
    pid = world.running.pid_of("user")

    async def halt() -> None:
        while True:
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(2.7)
            os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(0.3)

    task = asyncio.create_task(halt())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        os.kill(pid, signal.SIGCONT)


def frozen(name: str) -> Breaking:
    @asynccontextmanager
    async def freeze(world: World) -> AsyncIterator[None]:
        family = find_family(world.running.pid_of(name))
        signal_all(family, signal.SIGSTOP)
        try:
            yield
        finally:
            signal_all(family, signal.SIGCONT)

    return freeze


@asynccontextmanager
async def job_waiting(world: World) -> AsyncIterator[None]:
    answer = await world.user.call("POST", "/api/file/upload", files={"file": ("a.mp4", video(seconds=1))})
    assert answer.status_code == 200, answer.text
    query(world.running, "media", "UPDATE job SET due_at = now() - interval '10 minutes'")
    yield
    query(world.running, "media", "UPDATE job SET due_at = NULL")


@asynccontextmanager
async def counter_wrong(world: World) -> AsyncIterator[None]:
    body = {"video_path": "https://example.com/v.mp4", "title": "clip"}
    assert (await world.user.call("POST", "/api/videos/create-video", json=body)).status_code == 200
    query(world.running, "media", "UPDATE video SET like_count = like_count + 5")
    yield


@asynccontextmanager
async def disk_tight(world: World) -> AsyncIterator[None]:
    stats = os.statvfs(world.disk.path)
    room = stats.f_bavail - round(stats.f_blocks * 0.05)
    ballast = world.disk.path / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, room * stats.f_frsize)
    try:
        yield
    finally:
        world.disk.free()


@asynccontextmanager
async def webhook_away(world: World) -> AsyncIterator[None]:
    yield


@asynccontextmanager
async def old_release(world: World) -> AsyncIterator[None]:
    with answering(OLD_PORT, b'hitok_build_info{version="0.0.1",service="chat",revision=""} 1\n'):
        yield


@asynccontextmanager
async def flooded(world: World) -> AsyncIterator[None]:
    parts = urlsplit(world.running.urls[0])
    load = OpenLoad((str(parts.hostname), int(parts.port or 80)), 500)
    request = build_request(f"{world.running.urls[0]}/api/videos", {})
    task = asyncio.create_task(load.run(lambda _: request, 3_000, 40))
    yield
    task.cancel()
    await asyncio.wait([task])
    load.close()


# -- what users do meanwhile -------------------------------------------------------------------------------------------


async def upload(world: World) -> None:
    await world.user.call("POST", "/api/file/upload", files={"file": ("a.png", png(9, 9))})


async def list_conversations(world: World) -> None:
    await world.user.call("GET", "/api/chat/conversations")


async def log_in(world: World) -> None:
    body = {"phone": new_phone(), "password": "not theirs"}
    await asyncio.gather(
        *(world.http.post("/api/v1/user/login", json=body | {"phone": new_phone()}) for _ in range(20))
    )


async def ask_for_code(world: World) -> None:
    await world.http.post("/api/login/send-phone-code", json={"phone": new_phone()})


async def write_bio(world: World) -> None:
    await world.user.call("POST", "/api/user/set-profile", json={"bio": new_phone()})
    await asyncio.sleep(0.1)


async def nothing(world: World) -> None:
    await asyncio.sleep(0.5)


CASES: dict[str, tuple[Breaking, Load, set[str]]] = {
    "a webhook that is away": (webhook_away, ask_for_code, {"SmsFails"}),
    "a store that is broken": (store_broken, upload, {"UploadsFail"}),
    "a table that is missing": (
        members_missing,
        list_conversations,
        {"CallsFail", "RequestsFail", "SocketRequestsFail"},
    ),
    "a consumer that waits for a lock": (relationships_locked, nothing, {"ConsumerBehind"}),
    "a stream that is full": (stream_full, write_bio, {"EventsNotStored"}),
    "NATS that ends under a socket": (nats_killed, nothing, {"SocketsResync"}),
    "an outbox that is missing": (table_renamed("social", "outbox"), nothing, {"BackgroundTaskFails"}),
    "a table that is locked": (accounts_locked, log_in, {"DatabasePoolExhausted"}),
    "few descriptors": (few_descriptors, nothing, {"FileDescriptorsShort"}),
    "a process that stalls": (
        halting,
        log_in,
        {"LatencyBudgetBurnsFast", "LatencyBudgetBurnsSlowly", "RouteSlow", "EventLoopLate"},
    ),
    "NATS that is frozen": (frozen("nats"), write_bio, {"NatsAway", "OutboxOld"}),
    "jobs without workers": (job_waiting, nothing, {"JobsWait"}),
    "a counter that is wrong": (counter_wrong, nothing, {"CountersDrift"}),
    "a disk that is nearly full": (disk_tight, nothing, {"DiskFull"}),
    "two releases": (old_release, nothing, {"VersionsDiffer"}),
    "a flood": (flooded, nothing, {"RequestsShed"}),
}


@pytest.mark.parametrize("case", CASES)
async def test_a_cause_fires_its_alerts_and_its_end_quiets_them(world: World, case: str) -> None:
    broken, load, alerts = CASES[case]
    async with broken(world), repeating(lambda: load(world)):
        await wait(world.prometheus, alerts)
    if case == "a webhook that is away":
        with answering(SMS_PORT, b"ok"):
            async with repeating(lambda: load(world)):
                await wait(world.prometheus, set(), alerts)
    else:
        await wait(world.prometheus, set(), alerts)


async def test_a_certificate_that_ends_fires_until_a_new_one_is_read(world: World) -> None:
    await wait(world.prometheus, {"CertificateEnds"})
    renew(world.authority, world.files, 90)
    for name in SERVICES:
        with suppress(ProcessLookupError):
            os.kill(world.running.pid_of(name), signal.SIGKILL)
    await wait(world.prometheus, set(), {"CertificateEnds"})


def answering(port: int, body: bytes) -> Any:
    """Answers each request so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(200)
            self.send_header("content-type", "text/plain")
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    return _Answering(HTTPServer(("127.0.0.1", port), Handler))


class _Answering:
    def __init__(self, server: HTTPServer) -> None:
        self._server, self._thread = server, threading.Thread(target=server.serve_forever, args=(0.05,))

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
