"""The protocol of a connection: Uvicorn's, with bounds, and with refusals that cost little."""

import asyncio
from typing import Any, ClassVar, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.http import sendfile
from gateway.http.error_answers import error_answer
from gateway.http.errors import ParameterInvalid, TooManyRequests
from gateway.http.forwarding import ForwardingWatch
from gateway.http.limits.network_bounds import NetworkBound
from gateway.http.overload.admission import REFUSED, SLOT, holds_place, rank_of, refusal_of
from gateway.http.overload.early import Refusal, early_refusal_of
from gateway.http.overload.logins import are_refused
from services.kit.overload.admission import HERE

HEAD_SECONDS = 15.0  # for a client to send a request's line and headers
MAX_HEAD_BYTES = 64 * 1024  # beyond it the connection is closed; middleware.py answers 431 long before
RETRY_SECONDS = 30.0  # for a network that has enough connections


class _Answered:
    """In place of the cycle of a request on a connection that has had none."""

    response_complete, disconnected, keep_alive = True, False, True
    scope: ClassVar[dict[str, Any]] = {}
    message_event = asyncio.Event()


ANSWERED = _Answered()


class Protocol(HttpToolsProtocol):
    """Uvicorn's protocol with bounds on the size of a request's head, on the time to send it, and on the connections
    of a network.
    """

    _head_bytes = 0
    _in_message = False  # a request has begun to arrive, and has not arrived wholly
    _refused_at = 0.0  # when a request was last refused early, on the loop's clock
    _head_timer: asyncio.TimerHandle | None = None
    _network = ""

    def __init__(self, bound: NetworkBound, watch: ForwardingWatch, refuses_in_app: bool, **more: Any) -> None:
        """`refuses_in_app`: what is refused for overload passes the application's layers, too."""
        super().__init__(**more)
        self._bound, self._watch, self._refuses_in_app = bound, watch, refuses_in_app

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        network = self._bound.enter(self.client[0] if self.client else "")
        if network is None:
            self._refuse("429 Too Many Requests", TooManyRequests(retry_after=RETRY_SECONDS))
            return
        self._network = network
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._leave_network()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """From here the socket is counted as one (gateway/ws/network_bound.py)."""
        self._leave_network()
        super().handle_websocket_upgrade()

    def _leave_network(self) -> None:
        self._bound.leave(self._network)
        self._network = ""

    def data_received(self, data: bytes) -> None:
        if self._is_idle() and (refusal := early_refusal_of(data)):
            if refusal.after:
                self._hold_back(refusal)
            else:
                self._refuse_early(refusal.answer)
            return
        in_head = self._head_timer is not None
        super().data_received(data)
        if in_head and self._head_timer:  # the head had begun and has not ended
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.transport.abort()

    def _is_idle(self) -> bool:
        """Whether the connection waits for a request, which may be refused without the application's layers."""
        return not (self._in_message or self._refuses_in_app) and self._has_answered()

    def _has_answered(self) -> bool:
        """All requests whose heads it has read."""
        return self.cycle is None or self.cycle.response_complete

    def _hold_back(self, refusal: Refusal) -> None:
        """Refuses later, and reads nothing until then."""
        self._refused_at = self.loop.time()  # the connection is not idle meanwhile
        self.transport.pause_reading()
        self.loop.call_later(refusal.after, self._let_go, refusal.answer)

    def _let_go(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self._refuse_early(answer)
            self.transport.resume_reading()

    def _refuse_early(self, answer: bytes) -> None:
        self.transport.write(answer)
        if self.timeout_keep_alive_task:
            self._refused_at = self.loop.time()
        else:  # it is the connection's first request
            self._stop_head_timer()
            self.on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Goes on counting from the last request that was refused early, which left the timer alone."""
        left = self._refused_at + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def on_message_complete(self) -> None:
        self._in_message = False
        super().on_message_complete()

    def on_message_begin(self) -> None:
        self._in_message = True
        self._start_head_timer()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._stop_head_timer()
        self._watch.look(self.client[0] if self.client else "", self.scope)
        method = self.parser.get_method()
        rank = rank_of(method, self.url)
        # One that waits for another on its connection has no place, nor has a WebSocket.
        counts = rank is not None and self._has_answered()
        if not counts or self.parser.should_upgrade():
            self._begin()
        elif rank is not None and not are_refused(self.url) and HERE.enter(rank):
            if holds_place(self.url):
                self.scope[SLOT] = True  # type: ignore[literal-required]
            else:
                HERE.leave()
            self._begin()
        elif self._refuses_in_app or method == b"HEAD" or any(name == b"origin" for name, _ in self.headers):
            self.scope[REFUSED] = True  # type: ignore[literal-required]
            self._begin()
        else:
            self._shed(method)

    def _begin(self) -> None:
        super().on_headers_complete()
        if self.cycle and self.cycle.scope is self.scope:  # not a WebSocket
            sendfile.offer(self.cycle)

    def _shed(self, method: bytes) -> None:
        """Refuses without a task. The request's body is read and dropped, as that of any that was answered early."""
        if self.cycle is None:
            self.cycle = cast(Any, ANSWERED)
        keep_alive = self.parser.get_http_version() == "1.1" and self.parser.should_keep_alive()
        self.transport.write(refusal_of(method, self.url, keep_alive))
        if keep_alive:
            self.on_response_complete()
        else:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuses what is not HTTP, in the envelope of the path's family if the path was read."""
        self._refuse("400 Bad Request", ParameterInvalid())

    def _refuse(self, status: str, error: Exception) -> None:
        answer = error_answer(getattr(self, "url", b"").decode("latin-1"), error)
        headers = answer.headers | {"x-content-type-options": "nosniff", "content-length": str(len(answer.body))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {status}\r\n{lines}connection: close\r\n\r\n"
        self.transport.write(head.encode() + answer.body)
        self.transport.close()

    def _start_head_timer(self) -> None:
        self._stop_head_timer()
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_head_timer(self) -> None:
        if self._head_timer:
            self._head_timer.cancel()
            self._head_timer = None
