"""Sending: messages that arrive while others are on their way travel in one call, and each is answered once it is
written (docs/adr/0023-messages-travel-in-batches.md)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

import grpc
import grpc.aio
import structlog
from opentelemetry.trace import SpanKind

from gateway.chat.refusals import refusal_error
from protos.chat.v1 import conversations_pb2 as pb
from protos.chat.v1.conversations_pb2_grpc import ConversationsStub
from services.kit import telemetry
from services.kit.batcher import Batcher
from services.kit.context import current_caller, current_deadline, current_request_id
from services.kit.errors import AWAY, Unavailable

TIMEOUT = 8.0  # seconds
WINDOW = 0.008  # seconds that a message waits for others while a call is on its way; a lone message does not wait
MAX_BATCH = 64  # messages in a call
MAX_BYTES = 1024 * 1024  # in a call, unless it holds one message only
MAX_UNANSWERED = 5_000  # messages
METHOD = "/hitok.chat.v1.Conversations/Send"  # the name in traces, however the message travels

log = structlog.get_logger("chat")


class BatchFailed(Exception):
    """The call failed as a whole, because of one of its messages."""


class Waiting(NamedTuple):
    errand: pb.Errand
    size: int
    ends: float  # on the loop's clock
    answer: asyncio.Future[pb.SendResponse]


class SendBatcher:
    def __init__(self, conversations: ConversationsStub) -> None:
        self._conversations = conversations
        # A batch ends when all of its messages are answered, but a slow one must not hold up other batches.
        self._batches: Batcher[Waiting, None] = Batcher(
            self._send_batch,
            WINDOW,
            MAX_BATCH,
            MAX_BYTES,
            MAX_UNANSWERED,
            size_of=lambda waiting: waiting.size,
            max_running=MAX_UNANSWERED,
            name="send messages",
        )
        self._unanswered = 0
        self._ending: set[asyncio.Task[None]] = set()

    async def send(self, request: pb.SendRequest) -> pb.SendResponse:
        """Sends on behalf of the current caller. Raises the chat service's errors, and Unavailable."""
        if self._unanswered >= MAX_UNANSWERED:
            raise Unavailable("too many messages without an answer")
        self._unanswered += 1
        try:
            with telemetry.span(METHOD, SpanKind.CLIENT):
                return await self._send(request)
        finally:
            self._unanswered -= 1

    async def _send(self, request: pb.SendRequest) -> pb.SendResponse:
        try:
            waiting = _waiting(request)
            self._batches.submit(waiting)
            return await waiting.answer
        except BatchFailed:  # one of its messages is at fault, and the others are sent without it
            pass
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
        # In a call of its own, which the channel repeats when a replica goes away.
        return await self._conversations.Send(request, timeout=TIMEOUT)

    async def _send_batch(self, batch: Sequence[Waiting]) -> Sequence[None]:
        request = pb.BatchSendRequest(errands=[each.errand for each in batch])
        # They arrived within milliseconds of each other, so the last one's deadline is good enough for all.
        timeout = max(each.ends for each in batch) - asyncio.get_running_loop().time()
        failure: Exception = BatchFailed()
        try:
            answers = aiter(self._conversations.BatchSend(request, timeout=max(timeout, 0)))
            await _answer_all(batch, answers)
            self._end_later(answers)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                pass  # a chat service of an older release, which takes messages one by one
            elif error.code() in AWAY:
                failure = error
            else:
                log.exception("a batch of messages failed", status=error.code().name)
        finally:
            for each in batch:
                if not each.answer.done():
                    each.answer.set_exception(failure)
        return [None] * len(batch)

    def _end_later(self, answers: AsyncIterator[pb.BatchSendResponse]) -> None:
        """Waits for the call's status, without which gRPC would cancel it, when nobody waits for its answers."""
        task = asyncio.get_running_loop().create_task(_end(answers))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


def _waiting(request: pb.SendRequest) -> Waiting:
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
    return Waiting(errand, errand.ByteSize(), min(ends, current_deadline.get() or ends), loop.create_future())


async def _answer_all(batch: Sequence[Waiting], answers: AsyncIterator[pb.BatchSendResponse]) -> None:
    """Returns once all have their answer, or the call has ended."""
    left = len(batch)
    async for answer in answers:
        for result in answer.results:
            _answer(batch[result.place].answer, result)
        left -= len(answer.results)
        if not left:
            return


def _answer(future: asyncio.Future[pb.SendResponse], result: pb.SendResult) -> None:
    if future.done():
        return  # the sender was disconnected
    if result.HasField("sent"):
        future.set_result(result.sent)
        return
    refusal = result.refusal
    told = (refusal.status, refusal.reason, refusal.field, refusal.retry_after, refusal.detail)
    future.set_exception(refusal_error(*told))


async def _end(answers: AsyncIterator[pb.BatchSendResponse]) -> None:
    try:
        async for _ in answers:
            pass
    except grpc.aio.AioRpcError:
        pass  # all have their answers
