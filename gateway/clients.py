"""Where a request comes from."""

from typing import Any, NamedTuple

from protos.user.v1.accounts_pb2 import Client as ClientMessage


class Client(NamedTuple):
    ip: str
    port: int
    device: str  # User-Agent

    def message(self) -> ClientMessage:
        return ClientMessage(ip=self.ip, port=self.port, device=self.device)


def client_of(scope: Any) -> Client:
    """Uvicorn has put a trusted proxy's X-Forwarded-For into `client` already (server.py)."""
    ip, port = scope["client"] or ("", 0)
    agent = next((value for name, value in scope["headers"] if name == b"user-agent"), b"")
    return Client(ip, port, agent.decode("latin-1")[:512])
