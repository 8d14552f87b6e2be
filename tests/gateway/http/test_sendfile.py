"""Files by sendfile(2) on a real port, on both event loops: asyncio's and the one production has."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from gateway.config import GatewaySettings
from gateway.http import sendfile
from gateway.http.sendfile import SENDFILE
from tests.support.gateway import serving

SIZE = 20_000_000  # more than a socket takes at once
DATA = os.urandom(SIZE)
SETTINGS = GatewaySettings(internal_secret="", nats_url="", redis_url="", jwt_secret="")
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """In a thread, since a loop of the tests is there already."""

    def run(scenario: Coroutine[Any, Any, None]) -> None:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(request.param, asyncio.wait_for(scenario, 20)).result()

    return run


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "film.mp4"
    path.write_bytes(DATA)
    return path


class Site:
    """An application with one file; `GET /5-9` is its bytes from 5 to 8."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        start, end = map(int, scope["path"][1:].split("-"))
        gone = asyncio.create_task(self._gone(receive))
        try:
            headers = [(b"content-length", b"%d" % (end - start))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await scope[SENDFILE](self.path, start, end, gone)
            await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()
            self.done.set()

    async def _gone(self, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def ask(self, *spans: str) -> None:
        self.writer.write("".join(f"GET /{span} HTTP/1.1\r\nHost: x\r\n\r\n" for span in spans).encode())

    async def answer(self) -> bytes:
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        return await self.reader.readexactly(length)


@asynccontextmanager
async def connected(site: Site) -> AsyncIterator[Client]:
    async with serving(site, SETTINGS) as url:
        client = Client(*await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2])))
        try:
            yield client
        finally:
            client.writer.close()


def left_open(film: Path) -> int:
    """Descriptors of this process: those of the film, and second ones of a socket."""
    names = [name for link in Path("/proc/self/fd").iterdir() if (name := _name_of(link))]
    sockets = [name for name in names if name.startswith("socket:")]
    return names.count(str(film)) + len(sockets) - len(set(sockets))


def _name_of(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:  # it was closed meanwhile
        return ""


def test_any_part_and_one_after_another_on_one_connection(run: Run, film: Path) -> None:
    async def scenario() -> None:
        async with connected(Site(film)) as client:
            for start, end in ((0, SIZE), (0, 1), (SIZE - 1, SIZE), (7, 7), (4_096, sendfile.BURST + 4_097)):
                client.ask(f"{start}-{end}")
                assert await client.answer() == DATA[start:end]

    run(scenario())


def test_requests_that_were_sent_ahead_are_answered_in_turn(run: Run, film: Path) -> None:
    async def scenario() -> None:
        async with connected(Site(film)) as client:
            client.ask(f"0-{SIZE}", "5-9", f"100-{SIZE}")
            for start, end in ((0, SIZE), (5, 9), (100, SIZE)):
                assert await client.answer() == DATA[start:end]

    run(scenario())


def test_fifty_readers_at_once_get_their_own_ranges(run: Run, film: Path) -> None:
    async def read(url: str, start: int) -> None:
        client = Client(*await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2])))
        client.ask(f"{start}-{start + 3_000_000}")
        await asyncio.sleep(start % 5 / 50)
        assert await client.answer() == DATA[start : start + 3_000_000]
        client.writer.close()

    async def scenario() -> None:
        async with serving(Site(film), SETTINGS) as url:
            await asyncio.gather(*(read(url, 1_001 * number) for number in range(50)))

    run(scenario())


def test_a_reader_that_goes_away_leaves_nothing_open(run: Run, film: Path) -> None:
    async def scenario() -> None:
        site = Site(film)
        async with serving(site, SETTINGS) as url:
            before = left_open(film)
            for _ in range(6):
                site.done.clear()
                client = Client(*await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2])))
                client.ask(f"0-{SIZE}")
                await client.reader.readexactly(1_000)
                client.writer.transport.abort()
                await asyncio.wait_for(site.done.wait(), 5)
                await asyncio.sleep(0.05)
            assert left_open(film) <= before

    run(scenario())


def test_a_reader_that_takes_nothing_is_left(
    run: Run, film: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sendfile, "STALL_SECONDS", 0.2)

    async def scenario() -> None:
        site = Site(film)
        async with connected(site) as client:
            client.ask(f"0-{SIZE}")
            await asyncio.wait_for(site.done.wait(), 5)
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await client.answer()

    run(scenario())
    assert "ASGI" not in caplog.text


def test_a_file_that_is_shorter_than_was_said_ends_the_connection(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_bytes(b"x" * 100)

    async def scenario() -> None:
        async with connected(Site(path)) as client:
            client.ask("0-200")
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await client.answer()

    run(scenario())
