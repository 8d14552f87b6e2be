"""What makes up for lost events: after a gap all sockets look anew, and every 30 s some revs are compared."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import islice

import grpc.aio
import structlog

from gateway.chat.client import Chat
from gateway.http.auth import Authenticator
from gateway.ws.connection import Connection
from gateway.ws.frames import Close
from gateway.ws.hub import Hub
from gateway.ws.resume import pages, places_of
from protos.chat.v1 import conversations_pb2 as pb
from services.kit.context import Caller, current_caller

CHECK_SECONDS = 30.0
GRACE_SECONDS = 2.0  # in which an event may still be under way
MAX_CHECKED = 1_000  # conversations in one call
ACTIVE_SECONDS = 600.0
RELISTING = 8  # users looked at again at a time
RETRY_SECONDS = 1.0

log = structlog.get_logger("sockets")


class Repairs:
    def __init__(self, hub: Hub, chat: Chat, authenticator: Authenticator) -> None:
        self._hub, self._chat, self._authenticator = hub, chat, authenticator
        self._gap = asyncio.Event()
        self._turn = 0

    def after_gap(self) -> None:
        """Whatever anybody here knows may be out of date, and who is in what: nobody gets anything until that is known.

        He loses nothing by it, as he is told to sync everything then.
        """
        for connection in self._hub.connections:
            if connection.is_live:
                connection.moves = {}
                for conversation_id in tuple(connection.conversations):
                    self._hub.leave(connection, conversation_id)
        self._gap.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(_for_ever(self._mend_gaps)),
            asyncio.create_task(_for_ever(self._check_revs, CHECK_SECONDS)),
            asyncio.create_task(_for_ever(self._check_sessions, CHECK_SECONDS)),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()

    async def _mend_gaps(self) -> None:
        await self._gap.wait()
        self._gap.clear()
        free = asyncio.Semaphore(RELISTING)
        live = [connection for connection in self._hub.connections if connection.is_live]

        async def mend(connection: Connection) -> None:
            async with free:
                await self._relist(connection)

        await asyncio.gather(*map(mend, live))

    async def _relist(self, connection: Connection) -> None:
        """Its conversations as they are now; then the client may ask what it missed in them."""
        while not connection.is_closing:
            try:
                current_caller.set(connection.caller)
                connection.moves = {}
                places = [place async for page in pages(self._chat) for place in places_of(page).items()]
            except grpc.aio.AioRpcError:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._hub.settle(connection, dict(places))
            connection.doubt(None, "gap")
            return

    async def _check_revs(self) -> None:
        ids = self._choose()
        behind = await self._find_behind(ids)
        if behind:
            await asyncio.sleep(GRACE_SECONDS)
            behind = await self._find_behind(list(behind))
        for conversation_id, rev in behind.items():
            room = self._hub.rooms[conversation_id]
            log.warning("events were lost", conversation_id=conversation_id, rev=rev, seen=room.rev)
            room.note(rev, room.active_at)
            for connection in room.connections:
                connection.doubt([conversation_id], "behind")

    def _choose(self) -> list[int]:
        """The active ones, and in turn as many of the others as there is room for."""
        since = asyncio.get_running_loop().time() - ACTIVE_SECONDS
        rooms = self._hub.rooms
        active = list(islice((id for id, room in rooms.items() if room.active_at > since), MAX_CHECKED))
        if len(active) == MAX_CHECKED:
            return active
        quiet = [id for id, room in rooms.items() if room.active_at <= since]
        count = min(MAX_CHECKED - len(active), len(quiet))
        start, self._turn = self._turn, self._turn + count
        return active + [quiet[(start + index) % len(quiet)] for index in range(count)]

    async def _find_behind(self, ids: list[int]) -> dict[int, int]:
        """Of which conversations there is a newer rev than any seen here, and which."""
        if not ids:
            return {}
        current_caller.set(Caller())
        answer = await self._chat.conversations.BatchGetRevs(pb.BatchGetRevsRequest(conversation_ids=ids))
        rooms = self._hub.rooms
        return {
            row.conversation_id: row.rev
            for row in answer.revs
            if (room := rooms.get(row.conversation_id)) and 0 <= room.rev < row.rev
        }

    async def _check_sessions(self) -> None:
        """Those whose end we were not told of, as while NATS was away."""
        by_session: dict[int, list[Connection]] = {}
        for connection in self._hub.connections:
            by_session.setdefault(connection.caller.session_id, []).append(connection)
        verdicts = await self._authenticator.verdicts.load_many(by_session)
        for session_id, connections in by_session.items():
            verdict = verdicts.get(session_id)
            for connection in connections:
                if verdict is None or verdict.user_id != connection.caller.user_id:
                    connection.close(Close.SESSION_REVOKED, "session ended")
                else:
                    connection.caller = Caller(verdict.user_id, verdict.role, session_id)


async def _for_ever(work: Callable[[], object], pause: float = 0.0) -> None:
    while True:
        await asyncio.sleep(pause)
        try:
            await work()  # type: ignore[misc]
        except (grpc.aio.AioRpcError, TimeoutError) as error:
            log.warning("repair waits", error=repr(error)[:200])
            await asyncio.sleep(RETRY_SECONDS)
