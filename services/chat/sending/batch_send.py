"""Many callers' sends in one call. Each runs, and is counted, logged and traced, as if it had come in a call of its own
(docs/adr/0023-messages-travel-in-batches.md)."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from opentelemetry.trace import SpanKind

from protos.chat.v1 import conversations_pb2 as pb
from services.kit import telemetry
from services.kit.context import Caller, current_caller, current_request_id
from services.kit.pages import check_batch
from services.kit.rpc.interceptors import end_call, told_of

MAX_ERRANDS = 64
METHOD = "/hitok.chat.v1.Conversations/Send"

Send = Callable[[pb.SendRequest], Awaitable[pb.SendResponse]]


async def run(errands: Sequence[pb.Errand], send: Send) -> AsyncIterator[list[pb.SendResult]]:
    """Yields results as soon as they are known, so that none waits for a slow one. `send` acts for the current caller.

    The sends begin in their order, so a caller's messages to one target are written in it. Raises BatchTooLarge.
    """
    check_batch(errands, MAX_ERRANDS)
    results: list[pb.SendResult] = []
    known = asyncio.Event()

    async def serve(place: int, errand: pb.Errand) -> None:
        result = await _serve(place, errand, send)
        results.append(result)
        known.set()

    tasks = [asyncio.create_task(serve(place, errand)) for place, errand in enumerate(errands)]
    left = len(tasks)
    try:
        while left:
            await known.wait()  # returns once per transaction: its results are known together
            known.clear()
            some, results = results, []
            left -= len(some)
            yield some
    finally:
        for (
            task
        ) in tasks:  # the gateway is gone: as with calls of their own, sends that no writer has taken are dropped
            task.cancel()


async def _serve(place: int, errand: pb.Errand, send: Send) -> pb.SendResult:
    current_caller.set(Caller(errand.user_id, errand.role, errand.session_id))
    current_request_id.set(errand.request_id)
    started = time.perf_counter()
    with telemetry.span(METHOD, SpanKind.SERVER, {telemetry.TRACE: errand.traceparent}):
        try:
            sent = await send(errand.send)
        except Exception as error:
            fault = end_call(METHOD, started, error)
            assert fault
            refusal = pb.Refusal(
                status=fault.status.value[0],
                reason=fault.reason,
                detail=told_of(fault),
                retry_after=fault.retry_after or 0,
                field=fault.field,
            )
            return pb.SendResult(place=place, refusal=refusal)
        end_call(METHOD, started, None)
    return pb.SendResult(place=place, sent=sent)
