"""Reports the open connections to the chat service, which keeps presence: each change, and all of them every 30 s."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import grpc.aio
import structlog

from gateway.cache.presence import Presence
from gateway.chat.client import Chat
from gateway.ws.connection import Connection
from protos.chat.v1 import sockets_pb2 as pb

GATHER_SECONDS = 0.1
REFRESH_SECONDS = 30.0
BATCH = 1_000

log = structlog.get_logger("sockets")


class PresenceReporter:
    """`connections` returns those that are open now."""

    def __init__(self, chat: Chat, presence: Presence, connections: Callable[[], Iterable[Connection]]) -> None:
        self._chat, self._presence, self._connections = chat, presence, connections
        self._changed: dict[str, pb.Connection] = {}
        self._fresh = asyncio.Event()

    def opened(self, connection: Connection) -> None:
        self._note(connection, closed=False)

    def closed(self, connection: Connection) -> None:
        self._note(connection, closed=True)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._report_changes()), asyncio.create_task(self._refresh())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await self._report([_row(connection, closed=True) for connection in self._connections()])

    def _note(self, connection: Connection, closed: bool) -> None:
        self._changed[connection.id] = _row(connection, closed)
        self._fresh.set()

    async def _report_changes(self) -> None:
        while True:
            await self._fresh.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._fresh.clear()
            changed, self._changed = self._changed, {}
            await self._report(list(changed.values()))

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            rows = [_row(connection, closed=False) for connection in self._connections()]
            for user_id in {row.user_id for row in rows}:
                self._presence.touch(user_id)
            await self._report(rows)

    async def _report(self, rows: list[pb.Connection]) -> None:
        """A failed report is repaired by the next refresh, or by the expiry of the connection in the chat service."""
        for start in range(0, len(rows), BATCH):
            request = pb.RefreshConnectionsRequest(connections=rows[start : start + BATCH])
            try:
                await self._chat.presence.RefreshConnections(request)
            except grpc.aio.AioRpcError as error:
                log.info("presence report failed", status=error.code().name)
                return


def _row(connection: Connection, closed: bool) -> pb.Connection:
    return pb.Connection(user_id=connection.caller.user_id, connection_id=connection.id, closed=closed)
