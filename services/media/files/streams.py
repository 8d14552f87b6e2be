"""Client streams of uploads: a header, then chunks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import grpc.aio

from protos.media.v1.objects_pb2 import AppendUploadRequest, UploadRequest
from services.kit.errors import HitokError
from services.kit.rpc.channel import REFUSED_KEY
from services.media.errors import ChunkInvalid

MAX_CHUNK = 262_144  # bytes
DRAIN_SECONDS = 10.0


R = TypeVar("R", UploadRequest, AppendUploadRequest)


@asynccontextmanager
async def refusing_early(requests: AsyncIterator[R], context: Any) -> AsyncIterator[None]:
    """Announces an error that comes before the end of the stream in the initial metadata; raises it when the sender
    has stopped. A grpc.aio client that is still writing when a call ends would lose the call's status.
    """
    try:
        yield
    except HitokError:
        with suppress(TimeoutError, grpc.aio.InternalError):  # the latter: the caller has left
            await context.send_initial_metadata(((REFUSED_KEY, "1"),))
            async with asyncio.timeout(DRAIN_SECONDS):
                async for _ in requests:
                    pass
        raise


async def header_of(requests: AsyncIterator[R]) -> R:
    """Returns the first request. Raises ChunkInvalid unless it is a header."""
    first = await anext(aiter(requests), None)
    if first is None or first.WhichOneof("part") != "header":
        raise ChunkInvalid
    return first


async def chunks_of(requests: AsyncIterator[R]) -> AsyncIterator[bytes]:
    """Raises ChunkInvalid."""
    async for request in requests:
        if request.WhichOneof("part") != "chunk" or len(request.chunk) > MAX_CHUNK:
            raise ChunkInvalid
        yield request.chunk
