"""Serves a client's frames for all dialects: the limits, the context of a request, and its errors."""

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

import msgspec
import structlog
from opentelemetry.trace import SpanKind

from gateway.chat import commands, views
from gateway.chat.client import Chat
from gateway.http.errors import ParameterInvalid, TooManyRequests
from gateway.http.json_depth import check_depth
from gateway.http.limits.rate_limits import RateLimiter
from gateway.ws import metrics
from gateway.ws.dialects.connection import DialectConnection
from gateway.ws.frame_limit import seconds_over_limit
from gateway.ws.frames import Close, error_of
from gateway.ws.protocol import text_frame
from gateway.ws.task_queue import MAX_PENDING
from services.kit import telemetry
from services.kit.context import current_caller, current_deadline, current_request_id, new_request_id
from services.kit.errors import Overloaded
from services.kit.overload.admission import HERE, RETRY_AFTER, Rank

MAX_MALFORMED = 20  # frames that cannot be decoded, after which the socket is closed

T = TypeVar("T")
Work = Callable[[], Awaitable[None]]
log = structlog.get_logger("sockets")


class Tools(NamedTuple):
    """The parts that this gateway's sessions share. `scale`: of all rate limits; `timeout`: seconds for one request.

    `online_friends`: the ids of the caller's friends who are online.
    """

    chat: Chat
    limiter: RateLimiter
    scale: float
    timeout: float
    online_friends: Callable[[], Awaitable[list[int]]]


class Session:
    """Serves one socket; `receive` is called with the text of each frame. A subclass says what its frames mean."""

    def __init__(self, connection: DialectConnection, tools: Tools) -> None:
        self.connection, self.tools = connection, tools
        self._malformed = 0

    async def receive(self, text: str) -> None:
        self.connection.heard = True
        if wait := seconds_over_limit(self.connection, self.tools.scale):
            self.refuse("", TooManyRequests(retry_after=wait))
            return
        try:
            check_depth(text)
            await self.serve(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._malformed += 1
            if self._malformed > MAX_MALFORMED:
                self.connection.close(Close.PROTOCOL_ERROR, "malformed frames")
            else:
                self.refuse("", ParameterInvalid(str(error)))

    async def serve(self, text: str) -> None:
        """Raises msgspec's DecodeError for a frame that cannot be read."""
        raise NotImplementedError

    def end(self) -> None:
        """The socket is closed."""

    def error(self, id: str, text: str) -> Any:
        """The dialect's error frame. `id`: of the frame that is refused; empty: it had none."""
        raise NotImplementedError

    def say(self, frame: Any) -> None:
        self.connection.reply(text_frame(msgspec.json.encode(frame)))

    def refuse(self, id: str, error: Exception) -> str:
        answer = error_of(error)
        if answer.code == "internal":
            log.error("request failed", exc_info=error)
        self.say(self.error(id, answer.message))
        return answer.code

    async def submit(self, kind: str, id: str, work: Work, rank: Rank | None = Rank.WRITE) -> None:
        """Runs `work` after those before it. Its errors become the dialect's. `kind`: in traces and metrics.

        An overloaded gateway refuses it by its `rank`; None: never, because the work costs nothing.
        """
        tasks = self.connection.tasks
        if tasks.is_full:
            self.refuse(id, TooManyRequests(f"{MAX_PENDING} unanswered", retry_after=1.0))
            return
        await self.connection.drained()
        tasks.put("requests", lambda: self._run_admitted(kind, id, work, rank))

    async def _run_admitted(self, kind: str, id: str, work: Work, rank: Rank | None) -> None:
        if rank is None:
            await self.run(kind, id, work)
        elif not HERE.enter(rank):
            metrics.ANSWERED.labels(kind, self.refuse(id, Overloaded(retry_after=RETRY_AFTER))).observe(0.0)
        else:
            try:
                await self.run(kind, id, work)
            finally:
                HERE.leave()

    async def run(self, kind: str, id: str, work: Work, is_asked: bool = True) -> None:
        """`is_asked`: the client waits for it, and is told of an error."""
        if self.connection.is_closing:
            return
        started, outcome = perf_counter(), "ack"
        with telemetry.span(f"socket {kind}", SpanKind.SERVER):
            current_caller.set(self.connection.caller)
            current_request_id.set(new_request_id())
            current_deadline.set(asyncio.get_running_loop().time() + self.tools.timeout)
            try:
                await work()
            except Exception as error:
                # The client gets an answer and the socket lives on, whatever the error is.
                outcome = self.refuse(id, error) if is_asked else error_of(error).code
        metrics.ANSWERED.labels(kind, outcome).observe(perf_counter() - started)

    async def send(self, message: commands.Send) -> views.Ack:
        """Within the user's limit, which sockets of all protocols and HTTP share."""
        user_id = str(self.connection.caller.user_id)
        await self.tools.limiter.take(commands.SEND_BUCKET, commands.SEND_LIMIT, user_id)
        return await commands.send(self.tools.chat, message)


def decode(data: Any, kind: type[T]) -> T:
    """Raises ParameterInvalid."""
    try:
        if isinstance(data, str):  # JSON in a string of a frame, whose own depth was checked
            check_depth(data)
        return msgspec.json.decode(data, type=kind, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ParameterInvalid(str(error)) from None
