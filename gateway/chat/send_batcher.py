"""Sending: what comes in while other messages are on their way travels in one call; each is answered when written."""

import asyncio
import contextvars
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import grpc
import grpc.aio
import structlog
from opentelemetry.trace import SpanKind

from protos.chat.v1 import conversations_pb2 as pb
from protos.chat.v1.conversations_pb2_grpc import ConversationsStub
from services.kit import telemetry
from services.kit.context import current_caller, current_deadline, current_request_id
from services.kit.errors import AWAY, REASON_KEY, RETRY_AFTER_KEY, Unavailable

TIMEOUT = 8.0  # seconds
GATHER = 0.02  # seconds, while others are under way; a lone message waits for nobody
MAX_BATCH = 64  # messages in a call
MAX_BYTES = 1024 * 1024  # in a call, unless it is of one message
MAX_UNDER_WAY = 5_000  # messages without an answer
METHOD = "/hitok.chat.v1.Conversations/Send"  # what each is, however it travels
STATUSES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}

log = structlog.get_logger("chat")


class Spoiled(Exception):
    """The call failed as a whole, by whichever of its messages."""


class Waiting(NamedTuple):
    errand: pb.Errand
    size: int
    ends: float  # on the loop's clock
    answer: asyncio.Future[pb.SendResponse]


class Sends:
    def __init__(self, conversations: ConversationsStub) -> None:
        self._conversations = conversations
        self._waiting: deque[Waiting] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._under_way = 0
        self._scheduled = False

    async def send(self, request: pb.SendRequest) -> pb.SendResponse:
        """In the name of the current caller. Raises the chat service's errors, and Unavailable."""
        if self._under_way >= MAX_UNDER_WAY:
            raise Unavailable("too many messages under way")
        self._under_way += 1
        try:
            with telemetry.span(METHOD, SpanKind.CLIENT):
                try:
                    return await self._put(request)
                except Spoiled:  # one of them is to blame, and the others shall not suffer
                    pass
                except grpc.aio.AioRpcError as error:
                    if error.code() is not grpc.StatusCode.UNAVAILABLE:
                        raise
                # By itself, as a call that the channel repeats when a replica goes away.
                return await self._conversations.Send(request, timeout=TIMEOUT)
        finally:
            self._under_way -= 1

    def _put(self, request: pb.SendRequest) -> asyncio.Future[pb.SendResponse]:
        loop, caller = asyncio.get_running_loop(), current_caller.get()
        errand = pb.Errand(
            send=request,
            user_id=caller.user_id,
            role=caller.role,
            session_id=caller.session_id,
            request_id=current_request_id.get(),
            traceparent=telemetry.here(),
        )
        ends = loop.time() + TIMEOUT
        waiting = Waiting(errand, errand.ByteSize(), min(ends, current_deadline.get() or ends), loop.create_future())
        self._waiting.append(waiting)
        if not self._scheduled:
            self._scheduled = True
            loop.call_later(GATHER if self._under_way > 1 else 0, self._start)
        return waiting.answer

    def _start(self) -> None:
        self._scheduled = False
        while self._waiting:
            # An empty context: the call is for many, and belongs to none of them.
            task = asyncio.get_running_loop().create_task(self._run(self._take()), context=contextvars.Context())
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _take(self) -> list[Waiting]:
        batch = [self._waiting.popleft()]
        size = batch[0].size
        while self._waiting and len(batch) < MAX_BATCH and (size := size + self._waiting[0].size) <= MAX_BYTES:
            batch.append(self._waiting.popleft())
        return batch

    async def _run(self, batch: Sequence[Waiting]) -> None:
        request = pb.BatchSendRequest(errands=[each.errand for each in batch])
        # They came within the same few milliseconds, so the last one's deadline is everyone's.
        timeout = max(each.ends for each in batch) - asyncio.get_running_loop().time()
        failure: Exception = Spoiled()
        try:
            with telemetry.gathering("send messages", (each.errand.traceparent for each in batch)):
                async for answer in self._conversations.BatchSend(request, timeout=max(timeout, 0)):
                    for result in answer.results:
                        _settle(batch[result.place].answer, result)
        except grpc.aio.AioRpcError as error:
            if error.code() in AWAY:
                failure = error
            else:
                log.exception("a batch of messages failed", status=error.code().name)
        finally:
            for each in batch:
                if not each.answer.done():
                    each.answer.set_exception(failure)


def _settle(answer: asyncio.Future[pb.SendResponse], result: pb.SendResult) -> None:
    if answer.done():
        return  # its sender is gone
    if result.HasField("sent"):
        answer.set_result(result.sent)
        return
    refusal = result.refusal
    trailer = grpc.aio.Metadata((REASON_KEY, refusal.reason))
    if refusal.retry_after:
        trailer.add(RETRY_AFTER_KEY, f"{refusal.retry_after:.3f}")
    status = STATUSES.get(refusal.status, grpc.StatusCode.INTERNAL)
    answer.set_exception(grpc.aio.AioRpcError(status, grpc.aio.Metadata(), trailer, refusal.detail))
