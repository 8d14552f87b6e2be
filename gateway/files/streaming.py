"""Bodies too large to hold: read as they come, sent on as they come, never faster than they can be taken."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from litestar import Request
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)

from gateway.http.endpoint import Answer, Call, Endpoint
from gateway.http.errors import BodyIncomplete, ContentTypeInvalid, ParameterInvalid, ParameterMissing
from services.kit.channel import REFUSED_KEY

IDLE_SECONDS = 30.0  # without a byte
CHUNK = 131_072  # bytes a message to the service
MAX_PARTS = 20  # of a form
MAX_OTHER_BYTES = 65_536  # of a form's fields that are not the file
MAX_BOUNDARY = 200  # characters


class StreamedEndpoint(Endpoint[Any]):
    """Its function gets the request itself, to read the body from, and has longer than other endpoints."""

    __slots__ = ()
    content_type = "multipart/form-data"

    async def serve(self, request: Request[Any, Any, Any]) -> Answer:
        return Answer(self.family.success(await self.function(await self.admit(request), request)))

    async def admit(self, request: Request[Any, Any, Any]) -> Call:
        container = request.app.state.container
        async with asyncio.timeout(container.settings.request_seconds):
            return await self._admit(container, request)

    def handler(self) -> HTTPRouteHandler:
        async def serve(request: Request[Any, Any, Any]) -> Answer:
            return await self.serve(request)

        declared = HTTPRouteHandler(
            list(self.paths),
            http_method=HttpMethod(self.method),
            status_code=200,
            request_max_body_size=None,
            opt={"endpoint": self},
        )
        return declared(serve)


async def body_of(request: Request[Any, Any, Any]) -> AsyncIterator[bytes]:
    """Raises BodyIncomplete."""
    while True:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                message = await request.receive()
        except TimeoutError:
            raise BodyIncomplete from None
        if message["type"] != "http.request":
            raise BodyIncomplete
        if body := message.get("body"):
            yield body
        if not message.get("more_body"):
            return


async def chunks_of(body: AsyncIterator[bytes | bytearray]) -> AsyncIterator[bytes]:
    """The same bytes in pieces of CHUNK."""
    buffer = bytearray()
    async for piece in body:
        buffer += piece
        while len(buffer) >= CHUNK:
            yield bytes(buffer[:CHUNK])
            del buffer[:CHUNK]
    if buffer:
        yield bytes(buffer)


class FileForm:
    """A form with one part named `file`; what else it has is read and forgotten."""

    def __init__(self, request: Request[Any, Any, Any]) -> None:
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

    async def read(self) -> AsyncIterator[bytes]:
        """The file. Raises ParameterMissing, ParameterInvalid, BodyIncomplete."""
        in_file = False
        try:
            async for piece in self._body:
                for event in self._parser.parse(piece):
                    if isinstance(event, MultipartSegment):
                        in_file = event.name == "file"
                        self._files += in_file
                        if self._files > 1:
                            raise ParameterInvalid
                    elif event and in_file:
                        yield bytes(event)
                    elif event:
                        self._count(len(event))
            self._parser.close()
        except (MultipartError, ParserLimitReached, ValueError):
            raise ParameterInvalid from None
        if not self._files:
            raise ParameterMissing

    def _count(self, size: int) -> None:
        self._other_bytes += size
        if self._other_bytes > MAX_OTHER_BYTES:
            raise ParameterInvalid


async def send(rpc: Callable[..., Any], requests: AsyncIterator[Any], seconds: float) -> Any:
    """Makes a client-streaming call. What goes wrong while the requests are made ends it, and is raised here.

    When the service says that it will not take the rest, the rest is not read.
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

    async def listen() -> None:
        nonlocal refused
        metadata = await call.initial_metadata()
        refused = metadata is not None and REFUSED_KEY in metadata

    call = rpc(guarded(), timeout=seconds)
    listening = asyncio.create_task(listen())
    try:
        return await call
    except asyncio.CancelledError:
        if failure is None:
            raise
        raise failure from None
    finally:
        listening.cancel()
