"""The bound of sockets per network, around the endpoint of the sockets."""

from litestar.types import ASGIApp, Receive, Scope, Send

from gateway.http.client_info import ClientInfo
from gateway.http.error_answers import error_answer
from gateway.http.errors import TooManyRequests
from gateway.http.limits.network_bounds import NetworkBound
from gateway.ws.protocol import protocol_of

RETRY_SECONDS = 30.0


class BoundedSockets:
    """Answers a handshake with 429 if its network has enough sockets."""

    def __init__(self, sockets: ASGIApp, most: int) -> None:
        self._sockets, self._bound = sockets, NetworkBound("socket", most)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        network = self._bound.enter(ClientInfo(scope).ip)
        if network is None:
            await receive()  # websocket.connect
            protocol_of(scope).refuse(error_answer(scope["path"], TooManyRequests(retry_after=RETRY_SECONDS)))
            return
        try:
            await self._sockets(scope, receive, send)
        finally:
            self._bound.leave(network)
