"""Where a request comes from."""

from dataclasses import dataclass
from typing import Any

from protos.user.v1.accounts_pb2 import Client as ClientMessage

MAX_DEVICE = 512  # characters of a User-Agent


def header_of(scope: Any, name: bytes) -> str | None:
    """The first of that name. Litestar would decode all of them, for most requests want one."""
    for each, value in scope["headers"]:
        if each == name:
            return str(value, "latin-1")
    return None


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """Read from the ASGI scope when asked; most requests never ask.

    Uvicorn has put a trusted proxy's X-Forwarded-For into `client` already (server.py).
    """

    scope: Any

    @property
    def ip(self) -> str:
        return self.scope["client"][0] if self.scope["client"] else ""

    def message(self) -> ClientMessage:
        port = self.scope["client"][1] if self.scope["client"] else 0
        agent = header_of(self.scope, b"user-agent") or ""
        return ClientMessage(ip=self.ip, port=port, device=agent[:MAX_DEVICE])
