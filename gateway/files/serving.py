"""Serving files, GET|HEAD /media/<hash>.<extension>: from a folder by sendfile(2), from a bucket in chunks."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
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
from gateway.files.ranges import ByteRange, has_tag, requested_range
from gateway.files.responses import Chunk, ChunkedResponse, HeadersResponse, LocalFileResponse, RawHeaders
from gateway.files.variants import Shown, choose
from gateway.http.client_info import ClientInfo
from gateway.http.error_answers import error_answer
from gateway.http.errors import ObjectNotFound, RangeInvalid
from gateway.http.limits.rate_limits import declare, per_second
from gateway.http.sendfile import SENDFILE
from protos.media.v1.objects_pb2 import Object
from services.kit.context import network_of
from services.kit.errors import Unavailable
from services.objectstore.signatures import is_signed, sign_file
from services.objectstore.store import key_of

PREFIX = "/media/"
ROUTE = PREFIX + "{file}"
LIMIT = per_second(200, 2_000)  # per network, since players send no token: many users may watch behind one address
CHUNK = 524_288  # bytes read and sent at a time
REDIRECT_SECONDS = 600
FILE = re.compile(r"([0-9a-f]{64})\.[a-z0-9]{1,5}")
FILE_IN_INDEX = re.compile(rb"[0-9a-f]{64}\.(?:mp4|m4a|m3u8|vtt|jpg)")
INDEXES = (".m3u8", ".tiles")  # playlists and storyboards, which name files; only our own services write them
CSP = b"default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
PUBLIC = b"public, max-age=31536000, immutable"
PRIVATE = b"private, max-age=60"

AnyRequest = Request[Any, Any, Any]


async def serve(request: AnyRequest, file: FromPath[str]) -> ASGIResponse:
    """The file, a part of it, or a redirect to where it is (docs/contract/api.md)."""
    container: Container = request.app.state.container
    await container.limiter.take(ROUTE, LIMIT, network_of(ClientInfo(request.scope).ip))
    query, accept = request.scope["query_string"], request.headers.get("accept", "")
    shown = await choose(container, await _find(container, file, query), query, accept)
    object = shown.object
    if url := await _redirect_url(container, object):
        return ASGIResponse(status_code=302, headers={"location": url, "cache-control": "no-store"})
    if has_tag(request.headers.get("if-none-match", ""), object.hash):
        return HeadersResponse(304, _headers(shown))
    if object.file.endswith(INDEXES):
        return await _index(container, object, request)
    return _part(container, shown, request)


def _part(container: Container, shown: Shown, request: AnyRequest) -> ASGIResponse:
    object = shown.object
    asked = request.headers.get("range", ""), request.headers.get("if-range")
    part, is_partial = requested_range(*asked, object.size, object.hash)
    if part is None:
        answer = error_answer(request.scope["path"], RangeInvalid())
        unsatisfied = answer.headers | {"content-range": f"bytes */{object.size}"}
        return ASGIResponse(body=answer.body, status_code=answer.status, headers=unsatisfied)
    headers = _headers(shown)
    if is_partial:
        headers.append((b"content-range", b"bytes %d-%d/%d" % (part.start, part.end - 1, object.size)))
    headers.append((b"content-length", b"%d" % (part.end - part.start)))
    status, store = 206 if is_partial else 200, container.store
    if request.method == HttpMethod.HEAD:
        return HeadersResponse(status, headers)
    if isinstance(store, LocalStore) and store.prefix and SENDFILE in request.scope:
        return LocalFileResponse(store.prefix / key_of(object.file), part, status, headers)
    return ChunkedResponse(_read(container, object, part), status, headers)


async def _index(container: Container, object: Object, request: AnyRequest) -> ASGIResponse:
    """Always the whole file, since players need its length. A private index names private files: each gets a
    signature that expires with the index's own. Raises ObjectNotFound, Unavailable."""
    body = b"".join([chunk async for chunk in _read(container, object, ByteRange(0, object.size))])
    headers = [header for header in _headers(Shown(object)) if header[0] != b"accept-ranges"]
    if object.private:
        secret, (expires, _) = container.settings.internal_secret, _signature(request.scope["query_string"])
        hidden = object.hidden
        body = FILE_IN_INDEX.sub(lambda found: sign_file(secret, found[0].decode(), expires, hidden).encode(), body)
        headers = [header for header in headers if header[0] != b"etag"]  # the signatures change the bytes
    headers.append((b"content-length", b"%d" % len(body)))

    async def whole() -> AsyncIterator[Chunk]:
        yield body

    is_head = request.method == HttpMethod.HEAD
    return HeadersResponse(200, headers) if is_head else ChunkedResponse(whole(), 200, headers)


async def _find(container: Container, file: str, query: bytes) -> Object:
    """Raises ObjectNotFound, also for a private file without a signature: a client cannot tell whether it exists."""
    found = FILE.fullmatch(file)
    object = await container.files.load(found[1]) if found else None
    if object is None or object.file != file or (object.private and not _is_signed(container, object, query)):
        raise ObjectNotFound
    return object


def _is_signed(container: Container, object: Object, query: bytes) -> bool:
    expires, signature = _signature(query)
    return is_signed(container.settings.internal_secret, object.file, expires, signature, object.hidden)


def _signature(query: bytes) -> tuple[str, str]:
    """The query's expiry time and signature, "" where one is missing."""
    values = parse_qs(query.decode("latin-1")) if len(query) < 1_000 else {}
    return values.get("exp", [""])[0], values.get("sig", [""])[0]


async def _redirect_url(container: Container, object: Object) -> str | None:
    """Where the setting `media_redirect` sends clients; None to serve the file here.

    A private file goes only to the bucket, by a url that expires. An index is always served here, since it names
    its files by their paths here.
    """
    redirect, store = container.settings.media_redirect, container.store
    if not redirect or object.file.endswith(INDEXES):
        return None
    if isinstance(store, LocalStore) and (object.private or redirect == "bucket"):
        return None
    if object.private or redirect == "bucket":
        key, life = key_of(object.file), timedelta(seconds=REDIRECT_SECONDS)
        signed: str = await obstore.sign_async(store, "GET", key, life)  # type: ignore[call-overload]
        return signed
    return f"{redirect.rstrip('/')}/{key_of(object.file)}"


def _headers(shown: Shown) -> RawHeaders:
    object, public = shown.object, PUBLIC if shown.seconds is None else b"public, max-age=%d" % shown.seconds
    headers = [
        (b"content-type", object.media_type.encode()),
        (b"etag", b'"%s"' % object.hash.encode()),
        (b"accept-ranges", b"bytes"),
        (b"cache-control", PRIVATE if object.private else public),
        (b"content-security-policy", CSP),
        (b"x-content-type-options", b"nosniff"),
        (b"cross-origin-resource-policy", b"cross-origin"),
        (b"timing-allow-origin", b"*"),  # players measure how fast a file came, to choose a rung
    ]
    if shown.by_accept:
        headers.append((b"vary", b"accept"))
    if object.kind == "document":
        headers.append((b"content-disposition", b"attachment"))
    return headers


async def _read(container: Container, object: Object, part: ByteRange) -> AsyncIterator[Chunk]:
    """Raises ObjectNotFound, Unavailable."""
    key = key_of(object.file)
    try:
        for start in range(part.start, part.end, CHUNK):
            end = min(start + CHUNK, part.end)
            # A view, because asyncio's own event loop refuses to write obstore's type.
            yield memoryview(await obstore.get_range_async(container.store, key, start=start, end=end))
    except FileNotFoundError:
        raise ObjectNotFound from None
    except BaseError as error:
        raise Unavailable(type(error).__name__) from None


handler = HTTPRouteHandler(PREFIX + "{file:str}", http_method=[HttpMethod.GET, HttpMethod.HEAD], status_code=200)(serve)
declare(ROUTE)
