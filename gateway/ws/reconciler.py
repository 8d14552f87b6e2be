"""Repairs what lost events leave behind: after a gap it reads every socket's conversations again, and every 30 s it
compares some revs and all sessions with the services. It also ends subscriptions to presence that are not allowed any
more.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import islice

import grpc.aio
import structlog

from gateway.chat.client import Chat
from gateway.http.auth import Authenticator
from gateway.ws.connection import Connection
from gateway.ws.frames import Close
from gateway.ws.hub import Hub
from gateway.ws.resume import memberships_of, pages
from protos.chat.v1 import conversations_pb2 as pb
from protos.chat.v1 import sockets_pb2 as sockets_pb
from services.kit import background
from services.kit.context import Caller, current_caller

CHECK_SECONDS = 30.0
GRACE_SECONDS = 2.0  # in which an event may still arrive
MAX_CHECKED = 1_000  # conversations in one call
ACTIVE_SECONDS = 600.0
MAX_RELISTING = 8  # connections at the same time
RETRY_SECONDS = 1.0

log = structlog.get_logger("sockets")


class Reconciler:
    def __init__(self, hub: Hub, chat: Chat, authenticator: Authenticator) -> None:
        self._hub, self._chat, self._authenticator = hub, chat, authenticator
        self._gap, self._doubt = asyncio.Event(), asyncio.Event()
        self._doubtful: dict[int, bytes] = {}  # by user whose presence some may no longer see: the frame for those
        self._turn = 0

    def after_gap(self) -> None:
        """Takes every connection out of its conversations until they are listed again: a missed event may have removed
        the user. Nothing is lost by it, because the client is then told to sync everything.
        """
        for connection in self._hub.connections:
            if connection.is_live:
                connection.pending_moves = {}
                for conversation_id in tuple(connection.conversations):
                    self._hub.leave(connection, conversation_id)
        self._gap.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with background.run(
            relist_after_gap=lambda: _repeat(self._relist_after_gap),
            recheck_watchers=lambda: _repeat(self._recheck_watchers),
            check_revs=lambda: _repeat(self._check_revs, CHECK_SECONDS),
            check_sessions=lambda: _repeat(self._check_sessions, CHECK_SECONDS),
        ):
            yield

    def after_doubt(self, user_id: int, frame: bytes) -> None:
        """Asks for each client that subscribed to the user's presence whether it may still see it. `frame` is for those
        that may not; their subscription ends."""
        if user_id in self._hub.watchers:
            self._doubtful[user_id] = frame
            self._doubt.set()

    async def _recheck_watchers(self) -> None:
        await self._doubt.wait()
        self._doubt.clear()
        while self._doubtful:
            user_id, frame = self._doubtful.popitem()
            try:
                for connection in tuple(self._hub.watchers.get(user_id, ())):
                    await self._recheck_watcher(connection, user_id, frame)
            except BaseException:
                self.after_doubt(user_id, frame)  # the task is started again, and asks for all of them
                raise

    async def _recheck_watcher(self, connection: Connection, user_id: int, frame: bytes) -> None:
        current_caller.set(connection.caller)
        request = sockets_pb.BatchGetPresenceRequest(user_ids=[user_id])
        if not (await self._chat.presence.BatchGetPresence(request)).presences:
            self._hub.unwatch(connection, user_id)
            connection.deliver_latest(frame, f"presence:{user_id}")

    async def _relist_after_gap(self) -> None:
        await self._gap.wait()
        self._gap.clear()
        free = asyncio.Semaphore(MAX_RELISTING)
        live = [connection for connection in self._hub.connections if connection.is_live]

        async def relist(connection: Connection) -> None:
            async with free:
                await self._relist(connection)

        try:
            await asyncio.gather(*map(relist, live))
        except BaseException:
            self._gap.set()  # the task is started again, and relists all of them
            raise

    async def _relist(self, connection: Connection) -> None:
        """Reads the connection's conversations again, then tells its client to sync all of them."""
        while not connection.is_closing:
            try:
                current_caller.set(connection.caller)
                connection.pending_moves = {}
                listed = [item async for page in pages(self._chat) for item in memberships_of(page).items()]
            except grpc.aio.AioRpcError:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            except Exception:
                # One connection must not keep the others from their repair: its client reconnects and starts afresh.
                log.exception("relisting failed", user_id=connection.caller.user_id)
                connection.close(Close.OVERLOADED, "failed")
                return
            self._hub.apply_membership(connection, dict(listed))
            connection.request_resync(None, "gap")
            return

    async def _check_revs(self) -> None:
        ids = self._choose()
        behind = await self._find_behind(ids)
        if behind:
            await asyncio.sleep(GRACE_SECONDS)
            behind = await self._find_behind(list(behind))
        for conversation_id, rev in behind.items():
            subscribers = self._hub.conversations[conversation_id]
            log.warning("events were lost", conversation_id=conversation_id, rev=rev, seen=subscribers.rev)
            subscribers.record(rev, subscribers.active_at)
            for connection in subscribers.connections:
                connection.request_resync([conversation_id], "behind")

    def _choose(self) -> list[int]:
        """The active conversations; the remaining places go to the quiet ones in turn."""
        since = asyncio.get_running_loop().time() - ACTIVE_SECONDS
        conversations = self._hub.conversations
        active = list(islice((id for id, each in conversations.items() if each.active_at > since), MAX_CHECKED))
        if len(active) == MAX_CHECKED:
            return active
        quiet = [id for id, each in conversations.items() if each.active_at <= since]
        count = min(MAX_CHECKED - len(active), len(quiet))
        start, self._turn = self._turn, self._turn + count
        return active + [quiet[(start + index) % len(quiet)] for index in range(count)]

    async def _find_behind(self, ids: list[int]) -> dict[int, int]:
        """The conversations with a newer rev than any seen here, and that rev."""
        if not ids:
            return {}
        current_caller.set(Caller())
        answer = await self._chat.conversations.BatchGetRevs(pb.BatchGetRevsRequest(conversation_ids=ids))
        conversations = self._hub.conversations
        return {
            row.conversation_id: row.rev
            for row in answer.revs
            if (here := conversations.get(row.conversation_id)) and 0 <= here.rev < row.rev
        }

    async def _check_sessions(self) -> None:
        """Closes the sockets of sessions whose end was missed, for example while NATS was away."""
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


async def _repeat(work: Callable[[], Awaitable[None]], pause: float = 0.0) -> None:
    while True:
        await asyncio.sleep(pause)
        try:
            await work()
        except (grpc.aio.AioRpcError, TimeoutError) as error:
            log.warning("repair failed, will be tried again", error=repr(error)[:200])
            await asyncio.sleep(RETRY_SECONDS)
