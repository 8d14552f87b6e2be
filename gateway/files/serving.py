"""Serving files, GET|HEAD /media/<hash>.<extension>: from a folder by sendfile(2), from a bucket in bounded pieces."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import obstore
from litestar import Request
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response.base import ASGIResponse
from obstore.exceptions import BaseError
from obstore.store import LocalStore

from gateway.container import Container
from gateway.files.sendfile import SENDFILE
from gateway.http.client_info import ClientInfo, header_of
from gateway.http.endpoint import Call
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.errors import ObjectNotFound, RangeInvalid, failure_of
from gateway.http.rate_limits import declare, network_of, per_second
from protos.media.v1.objects_pb2 import Object
from services.kit.errors import Unavailable
from services.objectstore.signatures import is_signed, sign_file
from services.objectstore.store import key_of

ROUTE = "/media/{file}"
LIMIT = per_second(200, 2_000)  # of a network, for players name nobody: many may watch behind one address
PIECE = 524_288  # bytes read and sent at a time
REDIRECT_SECONDS = 600
FILE = re.compile(r"([0-9a-f]{64})\.[a-z0-9]{1,5}")
NAMED = re.compile(rb"[0-9a-f]{64}\.mp4")  # in a playlist
PLAYLIST = "application/vnd.apple.mpegurl"
HASH = re.compile(r"(?:^|/)([0-9a-f]{64})(?:\.[a-z0-9]{1,5})?(?:\?.*)?$")
RANGE = re.compile(r"bytes=\s*(\d{0,19})\s*-\s*(\d{0,19})\s*")
CSP = b"default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
PUBLIC = b"public, max-age=31536000, immutable"
PRIVATE = b"private, max-age=60"


Buffer = bytes | memoryview


class Span(NamedTuple):
    start: int
    end: int  # the first byte not in it


def hash_in(text: str) -> str | None:
    """The hash in a file's url, or the bare hash."""
    found = HASH.search(text.strip())
    return found[1] if found else None


def absolute(call: Call, path: str) -> str:
    """The url of one of our paths, as the client reaches us; "" for none."""
    if not path:
        return ""
    if call.container.settings.public_url:
        return call.container.settings.public_url.rstrip("/") + path
    scope = call.client.scope
    return f"{scope['scheme']}://{header_of(scope, b'host') or ''}{path}"


async def serve(request: Request[Any, Any, Any], file: FromPath[str]) -> ASGIResponse:
    container: Container = request.app.state.container
    await container.limiter.take(ROUTE, LIMIT, network_of(ClientInfo(request.scope).ip))
    object = await _find(container, file, request.scope["query_string"])
    if target := await _elsewhere(container, object):
        return ASGIResponse(status_code=302, headers={"location": target, "cache-control": "no-store"})
    headers = _headers(object)
    if _has_tag(request.headers.get("if-none-match", ""), object.hash):
        return _Head(304, headers)
    if object.media_type == PLAYLIST:
        return await _playlist(container, object, request)
    span, partial = _span(request, object)
    if span is None:
        body = SHORT_VIDEO.failure(failure_of(RangeInvalid.reason))
        unsatisfied = {"content-range": f"bytes */{object.size}"}
        return ASGIResponse(body=body, status_code=416, headers=unsatisfied, media_type="application/json")
    if partial:
        headers.append((b"content-range", b"bytes %d-%d/%d" % (span.start, span.end - 1, object.size)))
    headers.append((b"content-length", b"%d" % (span.end - span.start)))
    status = 206 if partial else 200
    if request.method == HttpMethod.HEAD:
        return _Head(status, headers)
    store = container.store
    if isinstance(store, LocalStore) and store.prefix and SENDFILE in request.scope:
        return _File(store.prefix / key_of(object.file), span, status, headers)
    return _Pieces(_read(container, object, span), status, headers)


async def _playlist(container: Container, object: Object, request: Request[Any, Any, Any]) -> ASGIResponse:
    """All of it, even if a part is asked for: players want to know how long it is. What a private one names is signed
    like itself, for as long. Raises ObjectNotFound, Unavailable."""
    body = b"".join([piece async for piece in _read(container, object, Span(0, object.size))])
    headers = [header for header in _headers(object) if header[0] != b"accept-ranges"]
    if object.private:
        secret, (expires, _) = container.settings.internal_secret, _signature(request.scope["query_string"])
        body = NAMED.sub(lambda named: sign_file(secret, named[0].decode(), expires).encode(), body)
        headers = [header for header in headers if header[0] != b"etag"]  # which is of other bytes
    headers.append((b"content-length", b"%d" % len(body)))

    async def whole() -> AsyncIterator[Buffer]:
        yield body

    return _Head(200, headers) if request.method == HttpMethod.HEAD else _Pieces(whole(), 200, headers)


async def _find(container: Container, file: str, query: bytes) -> Object:
    """Raises ObjectNotFound, also for a private file without a signature: whether it exists is not told."""
    named = FILE.fullmatch(file)
    object = await container.files.load(named[1]) if named else None
    if object is None or object.file != file or (object.private and not _is_signed(container, file, query)):
        raise ObjectNotFound
    return object


def _is_signed(container: Container, file: str, query: bytes) -> bool:
    expires, signature = _signature(query)
    return is_signed(container.settings.internal_secret, file, expires, signature)


def _signature(query: bytes) -> tuple[str, str]:
    """Until when it is good, and itself."""
    values = parse_qs(query.decode("latin-1"), max_num_fields=10) if len(query) < 1_000 else {}
    return values.get("exp", [""])[0], values.get("sig", [""])[0]


async def _elsewhere(container: Container, object: Object) -> str | None:
    """Where the setting sends clients; a private file only to the bucket, by an address that expires; for a playlist
    nowhere, since its files are named as they are here."""
    redirect, store = container.settings.media_redirect, container.store
    if not redirect or object.media_type == PLAYLIST:
        return None
    if isinstance(store, LocalStore) and (object.private or redirect == "bucket"):
        return None
    if object.private or redirect == "bucket":
        key, life = key_of(object.file), timedelta(seconds=REDIRECT_SECONDS)
        signed: str = await obstore.sign_async(store, "GET", key, life)  # type: ignore[call-overload]
        return signed
    return f"{redirect.rstrip('/')}/{key_of(object.file)}"


def _headers(object: Object) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"content-type", object.media_type.encode()),
        (b"etag", b'"%s"' % object.hash.encode()),
        (b"accept-ranges", b"bytes"),
        (b"cache-control", PRIVATE if object.private else PUBLIC),
        (b"content-security-policy", CSP),
        (b"x-content-type-options", b"nosniff"),
        (b"cross-origin-resource-policy", b"cross-origin"),
    ]
    if object.kind == "document":
        headers.append((b"content-disposition", b"attachment"))
    return headers


def _has_tag(header: str, hash: str) -> bool:
    """Weak comparison (RFC 9110, 13.1.2)."""
    return header.strip() == "*" or any(tag.strip().removeprefix("W/") == f'"{hash}"' for tag in header.split(","))


def _span(request: Request[Any, Any, Any], object: Object) -> tuple[Span | None, bool]:
    """What to send, None if it is beyond the end; and whether the client asked for less than all.

    What cannot be understood, several ranges at once and a range of another version: the whole (RFC 9110, 14.2).
    """
    whole = Span(0, object.size)
    if_range = request.headers.get("if-range")
    asked = RANGE.fullmatch(request.headers.get("range", "").strip().lower())
    if not asked or (if_range is not None and if_range.strip() != f'"{object.hash}"') or asked.groups() == ("", ""):
        return whole, False
    first, last = asked.groups()
    if not first:
        start = max(object.size - int(last), 0)
        return (Span(start, object.size), True) if int(last) else (None, True)
    if last and int(last) < int(first):
        return whole, False
    if int(first) >= object.size:
        return None, True
    return Span(int(first), min(int(last) + 1 if last else object.size, object.size)), True


class _Head(ASGIResponse):
    """Status and headers only."""

    __slots__ = ("raw_headers",)

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.status_code, self.raw_headers = status, headers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": b""})


class _Body(_Head):
    """With a stretch of a file. Sending waits for the client, and ends with him."""

    __slots__ = ()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._prepare()
        gone = asyncio.create_task(_disconnect(receive))  # Uvicorn's send says nothing of it
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await self._send_bytes(scope, send, gone)
            await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()

    async def _prepare(self) -> None:
        """Before the status: the store may be away. Raises ObjectNotFound, Unavailable."""
        raise NotImplementedError

    async def _send_bytes(self, scope: Any, send: Any, gone: asyncio.Task[None]) -> None:
        raise NotImplementedError


class _Pieces(_Body):
    __slots__ = ("_piece", "_rest")

    def __init__(self, pieces: AsyncIterator[Buffer], status: int, headers: list[tuple[bytes, bytes]]) -> None:
        super().__init__(status, headers)
        self._rest = pieces

    async def _prepare(self) -> None:
        self._piece = await anext(self._rest, b"")

    async def _send_bytes(self, scope: Any, send: Any, gone: asyncio.Task[None]) -> None:
        while self._piece and not gone.done():
            await send({"type": "http.response.body", "body": self._piece, "more_body": True})
            self._piece = await anext(self._rest, b"")


class _File(_Body):
    """Of a file on this machine."""

    __slots__ = ("_path", "_span")

    def __init__(self, path: Path, span: Span, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        super().__init__(status, headers)
        self._path, self._span = path, span

    async def _prepare(self) -> None:
        if not await asyncio.to_thread(self._path.exists):
            raise ObjectNotFound

    async def _send_bytes(self, scope: Any, send: Any, gone: asyncio.Task[None]) -> None:
        await scope[SENDFILE](self._path, *self._span, gone)


async def _disconnect(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _read(container: Container, object: Object, span: Span) -> AsyncIterator[Buffer]:
    """Raises ObjectNotFound, Unavailable."""
    key = key_of(object.file)
    try:
        for start in range(span.start, span.end, PIECE):
            end = min(start + PIECE, span.end)
            # A view of it: asyncio's own loop writes no foreign type.
            yield memoryview(await obstore.get_range_async(container.store, key, start=start, end=end))
    except FileNotFoundError:
        raise ObjectNotFound from None
    except BaseError as error:
        raise Unavailable(type(error).__name__) from None


handler = HTTPRouteHandler("/media/{file:str}", http_method=[HttpMethod.GET, HttpMethod.HEAD], status_code=200)(serve)
declare(ROUTE)
