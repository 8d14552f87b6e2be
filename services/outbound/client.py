"""Posts to URLs that somebody else chose: bounded in time, size and connections, and only to permitted addresses.

The address is checked where the connection is opened, on the very address that is then connected to, so that a host
which answers another one a moment later gains nothing. Redirects are answers like any other. TLS still verifies the
host's name.
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import certifi
import httpcore

from services.outbound.addresses import Resolve, Rules, check_url, permitted, resolve

MAX_ANSWER = 64 * 1024  # bytes of an answer that are read
MAX_CONNECTIONS = 64
IDLE_SECONDS = 60.0
NOT_SENT = (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout, httpcore.UnsupportedProtocol)
LOST = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException)


class Unreached(Exception):
    """Nothing was sent: no connection, no TLS, or too many connections to this host."""


class AnswerLost(Exception):
    """The request may have arrived; no answer came."""


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]  # names in small letters
    body: bytes


class _PinnedBackend(httpcore.AsyncNetworkBackend):
    """Resolves a host, and connects to one of its permitted addresses."""

    def __init__(self, rules: Rules, resolve: Resolve) -> None:
        self._rules, self._resolve, self._backend = rules, resolve, httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = permitted(await self._resolve(host, port), self._rules)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"no address: {error}") from error
        return await self._backend.connect_tcp(addresses[0], port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


class OutboundClient:
    def __init__(self, pool: httpcore.AsyncConnectionPool, rules: Rules, per_host: int, seconds: float) -> None:
        """`seconds`: for a whole request. `per_host`: requests at the same time; further ones are Unreached."""
        self._pool, self._rules, self._per_host, self._seconds = pool, rules, per_host, seconds
        self._running: Counter[str] = Counter()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Raises AddressRefused, Unreached, AnswerLost."""
        origin = check_url(url, self._rules).origin
        if self._running[origin] >= self._per_host:
            raise Unreached("busy")
        self._running[origin] += 1
        try:
            async with asyncio.timeout(self._seconds):
                return await self._post(url, headers, body)
        except TimeoutError:
            raise AnswerLost("timeout") from None
        finally:
            self._running[origin] -= 1
            if not self._running[origin]:
                del self._running[origin]

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        waits = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), self._seconds / 2)}
        fields = list(headers.items())
        try:
            async with self._pool.stream("POST", url, headers=fields, content=body, extensions=waits) as answer:
                names = {name.decode().lower(): value.decode("latin-1") for name, value in answer.headers}
                return Answer(answer.status, names, await _read(answer))
        except NOT_SENT as error:
            raise Unreached(repr(error)[:200]) from error
        except LOST as error:
            raise AnswerLost(repr(error)[:200]) from error


async def _read(answer: httpcore.Response) -> bytes:
    """The beginning of the body; the connection is not used again if there is more."""
    read = b""
    async for part in answer.aiter_stream():
        read += part
        if len(read) >= MAX_ANSWER:
            break
    return read[:MAX_ANSWER]


@asynccontextmanager
async def open_client(
    rules: Rules, ca_file: str = "", per_host: int = 16, seconds: float = 10.0, resolve: Resolve = resolve
) -> AsyncIterator[OutboundClient]:
    """`ca_file`: certificates that are trusted besides the public ones."""
    trusted = ssl.create_default_context(cafile=certifi.where())
    if ca_file:
        trusted.load_verify_locations(ca_file)
    pool = httpcore.AsyncConnectionPool(
        ssl_context=trusted,
        max_connections=MAX_CONNECTIONS,
        max_keepalive_connections=MAX_CONNECTIONS // 2,
        keepalive_expiry=IDLE_SECONDS,
        http2=True,
        network_backend=_PinnedBackend(rules, resolve),
    )
    async with pool:
        yield OutboundClient(pool, rules, per_host, seconds)
