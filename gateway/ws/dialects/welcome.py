"""Brings a dialect's client up to date after it connected: what waits for it, then the live events, with no gap."""

from gateway.chat.client import Chat
from gateway.ws.dialects.connection import BY_SEQ, DialectConnection, Position
from gateway.ws.frames import Membership
from gateway.ws.hub import Hub
from gateway.ws.resume import FIRST_PAGE, FirstPages, pages


class Welcome:
    """`read` first, then `finish`, as Resumption does it for our own protocol. A dialect has no cursors, so the client
    gets what it has neither read nor received, up to the number of messages that the dialect sends.
    """

    def __init__(self, hub: Hub, chat: Chat, first_pages: FirstPages, connection: DialectConnection) -> None:
        self._hub, self._chat, self._first_pages, self._connection = hub, chat, first_pages, connection
        self._position = hub.replay_buffer.position
        self._memberships: dict[int, Membership] = {}
        self._waiting: dict[int, int] = {}

    async def read(self) -> None:
        """Raises the chat service's errors, and Unavailable."""
        first = await self._first_pages.load(self._connection.caller.user_id)
        room = self._connection.renderer.offline
        async for page in pages(self._chat, FIRST_PAGE, first):
            for row in page.conversations:
                known = max(row.read_seq, row.delivered_seq, row.joined_seq)
                count = min(row.last_seq - known, room) if row.unread else 0
                position = Position(row.rev, row.last_seq, row.peer_id, row.group_id)
                if count > 0:
                    room -= count
                    position.rev, position.seq = BY_SEQ, row.last_seq - count
                    self._waiting[row.conversation_id] = row.rev
                self._connection.positions[row.conversation_id] = position
                self._memberships[row.conversation_id] = Membership(row.rev, row.joined_seq)

    def finish(self) -> None:
        """Makes the connection live. Waits for nothing, so that no event comes in between."""
        connection = self._connection
        connection.fall_behind(self._waiting)
        missed = self._hub.replay_buffer.since(self._position)
        revs = self._hub.apply_membership(connection, self._memberships)
        connection.start()
        if missed is None:
            connection.request_resync(None, "gap")
        else:
            self._hub.replay(connection, revs, missed)
