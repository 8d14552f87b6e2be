"""The dialects of this gateway: makes a connection and a session for each socket that speaks one."""

from collections.abc import Awaitable, Callable, Collection

from gateway.chat.client import Chat
from gateway.http.limits.rate_limits import RateLimiter
from gateway.ws.dialects.acked_renderer import AckedRenderer
from gateway.ws.dialects.catch_up import CatchUp
from gateway.ws.dialects.confirmations import Confirmations
from gateway.ws.dialects.connection import DialectConnection, Renderer
from gateway.ws.dialects.events import EventReader
from gateway.ws.dialects.hichat import HichatRenderer, HichatSession
from gateway.ws.dialects.hichat_acked import AckedSession
from gateway.ws.dialects.hichat_content import DERIVATIVE, ORIGINAL
from gateway.ws.dialects.opening import Name
from gateway.ws.dialects.session import Session, Tools
from gateway.ws.dialects.shortvideo import ShortVideoRenderer, ShortVideoSession
from gateway.ws.protocol import SocketProtocol

DERIVATIVES = "hichat-derivative"  # in the setting `compat`


class Dialects:
    def __init__(
        self,
        chat: Chat,
        limiter: RateLimiter,
        scale: float,
        timeout: float,
        compat: Collection[str],
        online_friends: Callable[[], Awaitable[list[int]]],
    ) -> None:
        """`scale`: of all rate limits; `timeout`: seconds for one request."""
        self._chat = chat
        self._tools = Tools(chat, limiter, scale, timeout, online_friends)
        self._acked = AckedRenderer(DERIVATIVE if DERIVATIVES in compat else ORIGINAL)
        self._renderers: dict[Name, Renderer] = {"A": ShortVideoRenderer(), "B1": HichatRenderer(), "B2": self._acked}
        self._reader, self._catch_up, self._confirmations = EventReader(), CatchUp(chat), Confirmations(chat)

    def connection(self, protocol: SocketProtocol, dialect: Name) -> DialectConnection:
        return DialectConnection(
            protocol, self._renderers[dialect], self._reader, self._catch_up.run, self._confirmations.add
        )

    def session(self, connection: DialectConnection, dialect: Name) -> Session:
        match dialect:
            case "A":
                return ShortVideoSession(connection, self._tools)
            case "B1":
                return HichatSession(connection, self._tools)
            case "B2":
                return AckedSession(connection, self._tools, self._acked)
