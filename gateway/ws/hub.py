"""Routes events to sockets: by conversation, by user, and by the users whose presence a client subscribed to."""

import asyncio
from collections.abc import Container, Iterable

from gateway.ws import metrics
from gateway.ws.connection import Connection
from gateway.ws.frames import Close, Membership, rev_only
from gateway.ws.replay_buffer import Event, ReplayBuffer

WINDOW = 64  # revs back within which a repeated event is told apart from a late one


class Subscribers:
    """The connections here that are in one conversation.

    `rev`: the newest one seen; -1 if none was. `joined_seq`: all of the connections may see the messages after it.
    """

    __slots__ = ("active_at", "connections", "joined_seq", "rev", "seen")

    def __init__(self, rev: int) -> None:
        self.connections: set[Connection] = set()
        self.joined_seq = 0
        self.rev = rev
        self.seen = -1  # bit n: rev - n was seen; set for all revs before the first event
        self.active_at = 0.0

    def record(self, rev: int, now: float) -> bool:
        """Whether an event with that rev is new here: the outbox repeats what the fast path delivered already."""
        self.active_at = now
        if self.rev < 0:
            self.rev, self.seen = rev, 1
            return True
        if rev > self.rev:
            self.seen = (self.seen << min(rev - self.rev, WINDOW) | 1) & (2**WINDOW - 1)
            self.rev = rev
            return True
        behind = self.rev - rev
        if behind >= WINDOW or self.seen >> behind & 1:
            return False
        self.seen |= 1 << behind
        return True


class Hub:
    def __init__(self) -> None:
        self.conversations: dict[int, Subscribers] = {}
        self.users: dict[int, list[Connection]] = {}
        self.watchers: dict[int, set[Connection]] = {}
        self.replay_buffer = ReplayBuffer()
        self.occupied = asyncio.Event()  # while there is a connection

    @property
    def connections(self) -> list[Connection]:
        return [connection for connections in self.users.values() for connection in connections]

    def add(self, connection: Connection) -> None:
        """From now on the connection gets its user's events, but no conversation's yet."""
        self.users.setdefault(connection.caller.user_id, []).append(connection)
        self.occupied.set()
        connection.pending_moves = {}
        metrics.OPEN.inc()

    def remove(self, connection: Connection) -> None:
        siblings = self.users.get(connection.caller.user_id, [])
        if connection not in siblings:
            return
        siblings.remove(connection)
        if not siblings:
            del self.users[connection.caller.user_id]
        if not self.users:
            self.occupied.clear()
        for conversation_id in tuple(connection.conversations):
            self.leave(connection, conversation_id)
        self.watch(connection, ())
        metrics.OPEN.dec()

    def apply_membership(self, connection: Connection, listed: dict[int, Membership]) -> dict[int, int]:
        """Puts the connection into the listed conversations, corrected by those that the user joined or left while the
        list was read. Returns each of its conversations with the rev up to which the client is informed.
        """
        moves, connection.pending_moves, connection.is_live = connection.pending_moves or {}, None, True
        current = {id: membership for id, membership in listed.items() if moves.get(id, membership) is not None}
        for id, membership in moves.items():
            if membership is not None:
                # The list may be from before the user left and came back.
                listed_rev = current[id].rev if id in current else membership.rev
                current[id] = Membership(listed_rev, membership.joined_seq)
        for conversation_id in connection.conversations.keys() - current.keys():
            self.leave(connection, conversation_id)
        for conversation_id in current.keys() - connection.conversations.keys():
            self.join(connection, conversation_id, current[conversation_id])
        return {id: membership.rev for id, membership in current.items()}

    def join(self, connection: Connection, conversation_id: int, membership: Membership) -> None:
        subscribers = self.conversations.get(conversation_id)
        if subscribers is None:
            subscribers = self.conversations[conversation_id] = Subscribers(membership.rev)
        elif membership.rev > subscribers.rev:
            # The events up to that rev are still to come, for the other connections.
            connection.min_rev[conversation_id] = membership.rev + 1
        subscribers.connections.add(connection)
        subscribers.joined_seq = max(subscribers.joined_seq, membership.joined_seq)
        connection.conversations[conversation_id] = membership.joined_seq

    def leave(self, connection: Connection, conversation_id: int) -> None:
        connection.conversations.pop(conversation_id, None)
        connection.min_rev.pop(conversation_id, None)
        subscribers = self.conversations.get(conversation_id)
        if subscribers:
            subscribers.connections.discard(connection)
            if not subscribers.connections:
                del self.conversations[conversation_id]

    def watch(self, connection: Connection, user_ids: Iterable[int]) -> None:
        """Subscribes to the presence of these users, instead of those before."""
        for user_id in connection.watching:
            watchers = self.watchers.get(user_id)
            if watchers:
                watchers.discard(connection)
                if not watchers:
                    del self.watchers[user_id]
        connection.watching = tuple(user_ids)
        for user_id in connection.watching:
            self.watchers.setdefault(user_id, set()).add(connection)

    def unwatch(self, connection: Connection, user_id: int) -> None:
        self.watch(connection, [id for id in connection.watching if id != user_id])

    def to_conversation(self, event: Event) -> None:
        """Delivers a durable event to each connection of its conversation, unless it was delivered before."""
        self.replay_buffer.add(event)
        subscribers = self.conversations.get(event.conversation_id)
        if subscribers and subscribers.record(event.rev, asyncio.get_running_loop().time()):
            if 0 < event.seq <= subscribers.joined_seq:
                for connection in subscribers.connections:
                    self._deliver(connection, event)
            else:
                for connection in subscribers.connections:
                    connection.deliver(event.frame, event.conversation_id, event.rev)
            metrics.DELIVERIES.inc(len(subscribers.connections))

    def _deliver(self, connection: Connection, event: Event) -> None:
        """Hides a message from before the user joined: they get its rev only."""
        is_visible = not event.seq or event.seq > connection.conversations.get(event.conversation_id, 0)
        frame = event.frame if is_visible else rev_only(event.conversation_id, event.rev)
        connection.deliver(frame, event.conversation_id, event.rev)

    def latest_to_conversation(
        self, conversation_id: int, frame: bytes, key: str, except_id: str = "", hidden: Container[int] = ()
    ) -> None:
        """Delivers a frame to all members' sockets but one, and but those of the users `hidden` from it."""
        subscribers = self.conversations.get(conversation_id)
        for connection in subscribers.connections if subscribers else ():
            if connection.id != except_id and connection.caller.user_id not in hidden:
                connection.deliver_latest(frame, key)

    def to_watchers(self, user_id: int, frame: bytes, hidden: Container[int] = ()) -> None:
        """Delivers a change of the user's presence to the clients that subscribed to it."""
        for connection in self.watchers.get(user_id, ()):
            if connection.caller.user_id not in hidden:
                connection.deliver_latest(frame, f"presence:{user_id}")

    def to_user(self, user_id: int, frame: bytes, key: str = "") -> None:
        """Delivers a frame to all devices of one user."""
        for connection in self.users.get(user_id, ()):
            if key:
                connection.deliver_latest(frame, key)
            else:
                connection.deliver_to_user(frame)

    def membership_changed(self, user_id: int, conversation_id: int, membership: Membership | None) -> None:
        """The user joined the conversation, or left it (None) and gets nothing more from it."""
        for connection in self.users.get(user_id, ()):
            if connection.pending_moves is not None:
                connection.pending_moves[conversation_id] = membership
            if membership is None:
                self.leave(connection, conversation_id)
            elif connection.is_live:
                # Events may have arrived since the user joined and before this gateway heard of it.
                self.join(connection, conversation_id, membership)
                self.replay(connection, {conversation_id: membership.rev}, self.replay_buffer.events)

    def replay(self, connection: Connection, revs: dict[int, int], events: Iterable[Event]) -> None:
        """Delivers those of the events that are newer than `revs`, each once."""
        delivered = set()
        for event in events:
            mark = event.conversation_id, event.rev
            subscribers = self.conversations.get(event.conversation_id)
            if subscribers and mark not in delivered and event.rev > revs.get(event.conversation_id, event.rev):
                delivered.add(mark)
                subscribers.record(event.rev, subscribers.active_at)
                self._deliver(connection, event)

    def revoke_sessions(self, session_ids: set[int]) -> None:
        for connection in self.connections:
            if connection.caller.session_id in session_ids:
                connection.close(Close.SESSION_REVOKED, "session ended")

    def revoke_user(self, user_id: int) -> None:
        for connection in tuple(self.users.get(user_id, ())):
            connection.close(Close.SESSION_REVOKED, "account closed")
