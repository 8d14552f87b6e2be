"""A small HTTP/1.1 load generator: keep-alive connections, one request at a time on each."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

HEADER_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Result:
    requests: int
    seconds: float
    latencies: Sequence[float]  # seconds, sorted
    failures: int  # answers other than 200 and refusals
    refused: int = 0  # by a server that says it is overloaded

    @property
    def rate(self) -> float:
        """Of those that were not refused."""
        return (self.requests - self.refused) / self.seconds

    def quantile(self, share: float) -> float:
        """In milliseconds."""
        return quantile(self.latencies, share)


def quantile(latencies: Sequence[float], share: float) -> float:
    """In milliseconds; 0 if there are none."""
    ordered = sorted(latencies)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000 if ordered else 0.0


class Connection(asyncio.Protocol):
    """Sends one request at a time, and reports its status and whether it named a time to retry. `body`: of the last
    answer."""

    def __init__(self) -> None:
        self._buffer = self.body = b""
        self._answer: asyncio.Future[tuple[int, bool]] | None = None
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def ask(self, request: bytes) -> "asyncio.Future[tuple[int, bool]]":
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(HEADER_END)
        if end < 0 or self._answer is None:
            return
        head = self._buffer[:end].lower()
        at = head.index(b"content-length:") + 15
        length = int(head[at : head.find(b"\r", at) if b"\r" in head[at:] else None])
        if len(self._buffer) >= end + 4 + length:
            self.body, self._buffer = self._buffer[end + 4 :], b""
            if not self._answer.done():
                self._answer.set_result((int(head[9:12]), b"\r\nretry-after:" in head))

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("closed"))


def build_request(url: str, headers: dict[str, str], method: str = "GET", body: bytes = b"") -> bytes:
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + HEADER_END + body


async def load(url: str, requests: Sequence[bytes], connections: int, seconds: float, rate: float = 0) -> Result:
    """Sends `requests` in turn, as fast as `connections` allow or at `rate` requests/s."""
    parts = urlsplit(url)
    address = (str(parts.hostname), int(parts.port or 80))
    latencies: list[float] = []
    failures = refused = 0
    end = time.perf_counter() + seconds

    async def run(number: int) -> None:
        nonlocal failures, refused
        _, connection = await asyncio.get_running_loop().create_connection(Connection, *address)
        pause = connections / rate if rate else 0
        due = time.perf_counter() + pause * number / connections
        turn = number
        while (started := time.perf_counter()) < end:
            if pause:
                await asyncio.sleep(max(due - started, 0))
                started, due = (
                    due,
                    due + pause,
                )  # when it was due: a late answer delays those behind it
            status, is_refusal = await connection.ask(requests[turn % len(requests)])
            refused += is_refusal
            failures += status != 200 and not is_refusal
            latencies.append(time.perf_counter() - started)
            turn += connections
        connection.transport.close()

    began = time.perf_counter()
    await asyncio.gather(*map(run, range(connections)))
    return Result(len(latencies), time.perf_counter() - began, sorted(latencies), failures, refused)


async def send_each(url: str, requests: Sequence[bytes], connections: int) -> Result:
    """Sends each request once, as fast as `connections` allow."""
    parts = urlsplit(url)
    latencies: list[float] = []
    failures, left = 0, iter(requests)

    async def run() -> None:
        nonlocal failures
        address = (str(parts.hostname), int(parts.port or 80))
        _, connection = await asyncio.get_running_loop().create_connection(Connection, *address)
        for request in left:
            started = time.perf_counter()
            status, _ = await connection.ask(request)
            failures += status != 200
            latencies.append(time.perf_counter() - started)
        connection.transport.close()

    began = time.perf_counter()
    await asyncio.gather(*(run() for _ in range(connections)))
    return Result(len(latencies), time.perf_counter() - began, sorted(latencies), failures)
