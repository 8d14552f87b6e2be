"""Request bodies too large to hold: sent on to a service as they arrive, no faster than the service takes them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, get_type_hints

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)

from gateway.container import Call
from gateway.http.endpoint import Admission, Endpoint, JsonResponse
from gateway.http.envelopes import Family
from gateway.http.errors import BodyIncomplete, BodySlow, ContentTypeInvalid, ParameterInvalid, ParameterMissing
from gateway.http.limits.rate_limits import RateLimit
from services.kit.rpc.channel import REFUSED_KEY

IDLE_SECONDS = 30.0  # without a byte from the client
CHUNK = 262_144  # bytes in one message to the service
MAX_PARTS = 20  # of a form
MAX_OTHER_BYTES = 65_536  # of a form's fields besides the file
MAX_BOUNDARY = 200  # characters

AnyRequest = Request[Any, Any, Any]


class StreamedEndpoint(Endpoint[Any]):
    """An endpoint whose function gets the request instead of parameters, to read the body from. Only admission has
    the deadline of other endpoints; `params` serves the OpenAPI document alone."""

    __slots__ = ()
    content_type = "multipart/form-data"

    async def serve(self, request: AnyRequest) -> ASGIResponse:
        return JsonResponse(self.family.success(await self.function(await self.admit(request), request)))

    async def admit(self, request: AnyRequest) -> Call:
        container: Admission = request.app.state.container
        async with asyncio.timeout(container.settings.request_seconds):
            return await self._admit(container, request)


def upload_endpoint(
    path: str, *, family: Family, limit: RateLimit, form: type[Any]
) -> Callable[[Callable[[Call, AnyRequest], Awaitable[Any]]], HTTPRouteHandler]:
    """As `endpoint`, for a POST with a form that is read while it arrives. `form` describes it."""

    def declare(function: Callable[[Call, AnyRequest], Awaitable[Any]]) -> HTTPRouteHandler:
        result = get_type_hints(function)["return"]
        declared = StreamedEndpoint("POST", (path,), family, limit, True, function, form, result)
        return declared.handler(request_max_body_size=None)

    return declare


async def body_of(request: AnyRequest) -> AsyncIterator[bytes]:
    """The body as it arrives. Raises BodyIncomplete if the client disconnects, BodySlow after a pause of
    IDLE_SECONDS."""
    while True:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                message = await request.receive()
        except TimeoutError:
            raise BodySlow from None
        if message["type"] != "http.request":
            raise BodyIncomplete
        if body := message.get("body"):
            yield body
        if not message.get("more_body"):
            return


async def chunks_of(body: AsyncIterator[bytes | bytearray]) -> AsyncIterator[bytes]:
    """The same bytes in chunks of nearly CHUNK; no byte is copied twice."""
    pieces: list[bytes | bytearray | memoryview] = []
    size = 0
    async for whole in body:
        for start in range(0, len(whole), CHUNK):
            piece = memoryview(whole)[start : start + CHUNK] if len(whole) > CHUNK else whole
            if size + len(piece) > CHUNK:
                yield b"".join(pieces)
                pieces, size = [], 0
            pieces.append(piece)
            size += len(piece)
    if pieces:
        yield b"".join(pieces)


class FileForm:
    """A form with one part named `file`. Other parts are read and ignored."""

    def __init__(self, request: AnyRequest) -> None:
        """Raises ContentTypeInvalid, ParameterInvalid."""
        media_type, options = parse_options_header(request.headers.get("content-type", ""))
        if media_type != "multipart/form-data":
            raise ContentTypeInvalid
        boundary = options.get("boundary", "")
        if not 0 < len(boundary) <= MAX_BOUNDARY or not boundary.isascii():
            raise ParameterInvalid
        self._parser = PushMultipartParser(boundary, max_header_size=2_048, max_segment_count=MAX_PARTS, strict=True)
        self._body, self._other_bytes = body_of(request), 0
        self._files = 0

    async def read(self) -> AsyncIterator[bytes | bytearray]:
        """The bytes of the file. Raises ParameterMissing, ParameterInvalid, BodyIncomplete."""
        in_file = False
        try:
            async for piece in self._body:
                for event in self._parser.parse(piece):
                    if isinstance(event, MultipartSegment):
                        in_file = event.name == "file"
                        self._files += in_file
                        if self._files > 1:
                            raise ParameterInvalid(field="file")
                    elif event and in_file:
                        yield event
                    elif event:
                        self._count(len(event))
            self._parser.close()
        except (MultipartError, ParserLimitReached, ValueError):
            raise ParameterInvalid from None
        if not self._files:
            raise ParameterMissing(field="file")

    def _count(self, size: int) -> None:
        self._other_bytes += size
        if self._other_bytes > MAX_OTHER_BYTES:
            raise ParameterInvalid


async def send(rpc: Callable[..., Any], requests: AsyncIterator[Any], seconds: float) -> Any:
    """Makes a client-streaming call with a deadline of `seconds`, and returns its response.

    An exception of `requests` ends the call and is raised here. When the service says in its initial metadata that
    it refuses the rest (services/kit/rpc/channel.py, REFUSED_KEY), `requests` is not read any further.
    """
    failure: Exception | None = None
    refused = False

    async def guarded() -> AsyncIterator[Any]:
        nonlocal failure
        try:
            async for request in requests:
                if refused:
                    return
                yield request
        except Exception as error:
            failure = error
            raise

    async def watch_for_refusal() -> None:
        nonlocal refused
        metadata = await call.initial_metadata()
        refused = metadata is not None and REFUSED_KEY in metadata

    call = rpc(guarded(), timeout=seconds)
    watching = asyncio.create_task(watch_for_refusal())
    try:
        return await call
    except asyncio.CancelledError:
        if failure is None:
            raise
        raise failure from None
    finally:
        watching.cancel()
