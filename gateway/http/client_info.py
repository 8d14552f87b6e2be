"""The origin of a request: address, device and headers."""

from dataclasses import dataclass
from typing import Any

from protos.user.v1.accounts_pb2 import Client as ClientMessage

MAX_DEVICE = 512  # characters of a User-Agent
WEB_APP_HEADER = b"x-hitok-web"  # on every request of our own web app


def header_of(scope: Any, name: bytes) -> str | None:
    """The first header of that name (lower case). Litestar would decode all headers; most requests need one."""
    for each, value in scope["headers"]:
        if each == name:
            return str(value, "latin-1")
    return None


@dataclass(slots=True)
class ClientInfo:
    """Reads the ASGI scope when asked; most requests never ask.

    Uvicorn has already replaced the scope's `client` by a trusted proxy's X-Forwarded-For (server.py).
    """

    scope: Any

    @property
    def ip(self) -> str:
        return self.scope["client"][0] if self.scope["client"] else ""

    def message(self) -> ClientMessage:
        """For the user service, which keeps it with the session."""
        port = self.scope["client"][1] if self.scope["client"] else 0
        agent = header_of(self.scope, b"user-agent") or ""
        return ClientMessage(ip=self.ip, port=port, device=agent[:MAX_DEVICE])
