"""Which sockets an event goes to: conversation → connections, user → connections, watched user → connections."""

import asyncio
from collections.abc import Iterable

from gateway.ws import metrics
from gateway.ws.connection import Connection
from gateway.ws.frames import Close, Place, unseen
from gateway.ws.replay_buffer import Event, Recent

WINDOW = 64  # revs back to which a repeated event is told from a late one


class Room:
    """A conversation that somebody here is in. `rev`: the newest seen, -1 for none yet. Beyond `joined_seq` all of
    them may see everything."""

    __slots__ = ("active_at", "connections", "joined_seq", "rev", "seen")

    def __init__(self, rev: int) -> None:
        self.connections: set[Connection] = set()
        self.joined_seq = 0
        self.rev = rev
        self.seen = -1  # bit n: rev - n came by (all of those before the first did)
        self.active_at = 0.0

    def note(self, rev: int, now: float) -> bool:
        """Whether an event of that rev is new here: the outbox repeats what the fast path brought."""
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
        self.rooms: dict[int, Room] = {}
        self.users: dict[int, list[Connection]] = {}
        self.watchers: dict[int, set[Connection]] = {}
        self.recent = Recent()

    @property
    def connections(self) -> list[Connection]:
        return [connection for connections in self.users.values() for connection in connections]

    def add(self, connection: Connection) -> None:
        """From now on it hears of its user, and of nothing else yet."""
        self.users.setdefault(connection.caller.user_id, []).append(connection)
        connection.moves = {}
        metrics.OPEN.inc()

    def remove(self, connection: Connection) -> None:
        mates = self.users.get(connection.caller.user_id, [])
        if connection not in mates:
            return
        mates.remove(connection)
        if not mates:
            del self.users[connection.caller.user_id]
        for conversation_id in tuple(connection.conversations):
            self.leave(connection, conversation_id)
        self.watch(connection, ())
        metrics.OPEN.dec()

    def settle(self, connection: Connection, listed: dict[int, Place]) -> dict[int, int]:
        """It is in the listed conversations, but for what it joined or left meanwhile: the end of its hello, or of a
        look at what it missed. Gives what it is in by that, and up to which revs it is told."""
        moves, connection.moves, connection.is_live = connection.moves or {}, None, True
        places = {id: place for id, place in listed.items() if moves.get(id, place) is not None}
        for id, place in moves.items():
            if place is not None:
                listed_rev = places[id].rev if id in places else place.rev
                places[id] = Place(listed_rev, place.joined_seq)  # the list may be from before he left and came back
        for conversation_id in connection.conversations.keys() - places.keys():
            self.leave(connection, conversation_id)
        for conversation_id in places.keys() - connection.conversations.keys():
            self.join(connection, conversation_id, places[conversation_id])
        return {id: place.rev for id, place in places.items()}

    def join(self, connection: Connection, conversation_id: int, place: Place) -> None:
        room = self.rooms.get(conversation_id)
        if room is None:
            room = self.rooms[conversation_id] = Room(place.rev)
        elif place.rev > room.rev:
            # The others here still wait for those events, and are to get them.
            connection.ahead[conversation_id] = place.rev
        room.connections.add(connection)
        room.joined_seq = max(room.joined_seq, place.joined_seq)
        connection.conversations[conversation_id] = place.joined_seq

    def leave(self, connection: Connection, conversation_id: int) -> None:
        connection.conversations.pop(conversation_id, None)
        connection.ahead.pop(conversation_id, None)
        room = self.rooms.get(conversation_id)
        if room:
            room.connections.discard(connection)
            if not room.connections:
                del self.rooms[conversation_id]

    def watch(self, connection: Connection, user_ids: Iterable[int]) -> None:
        """Whose presence it is told; instead of those before."""
        for user_id in connection.watching:
            watchers = self.watchers.get(user_id)
            if watchers:
                watchers.discard(connection)
                if not watchers:
                    del self.watchers[user_id]
        connection.watching = tuple(user_ids)
        for user_id in connection.watching:
            self.watchers.setdefault(user_id, set()).add(connection)

    def event(self, event: Event) -> None:
        """A durable event of a conversation, once to each of its connections."""
        self.recent.add(event)
        room = self.rooms.get(event.conversation_id)
        if room and room.note(event.rev, asyncio.get_running_loop().time()):
            if 0 < event.seq <= room.joined_seq:
                for connection in room.connections:
                    self._deliver(connection, event)
            else:
                for connection in room.connections:
                    connection.deliver(event.frame, event.conversation_id, event.rev)
            metrics.DELIVERIES.inc(len(room.connections))

    def _deliver(self, connection: Connection, event: Event) -> None:
        """Its frame only if it shows nothing from before he joined."""
        is_seen = not event.seq or event.seq > connection.conversations.get(event.conversation_id, 0)
        frame = event.frame if is_seen else unseen(event.conversation_id, event.rev)
        connection.deliver(frame, event.conversation_id, event.rev)

    def latest(self, conversation_id: int, frame: bytes, key: str, except_id: str = "") -> None:
        room = self.rooms.get(conversation_id)
        for connection in room.connections if room else ():
            if connection.id != except_id:
                connection.deliver_latest(frame, key)

    def presence(self, user_id: int, frame: bytes) -> None:
        for connection in self.watchers.get(user_id, ()):
            connection.deliver_latest(frame, f"presence:{user_id}")

    def own(self, user_id: int, frame: bytes, key: str = "") -> None:
        """A frame for all devices of one user."""
        for connection in self.users.get(user_id, ()):
            if key:
                connection.deliver_latest(frame, key)
            else:
                connection.deliver_own(frame)

    def move(self, user_id: int, conversation_id: int, place: Place | None) -> None:
        """The user joined the conversation or left it; what he left he gets nothing more of."""
        for connection in self.users.get(user_id, ()):
            if connection.moves is not None:
                connection.moves[conversation_id] = place
            if place is None:
                self.leave(connection, conversation_id)
            elif connection.is_live:
                self._welcome(connection, conversation_id, place)

    def _welcome(self, connection: Connection, conversation_id: int, place: Place) -> None:
        """Into a conversation that may have gone on before we heard that he joined it."""
        self.join(connection, conversation_id, place)
        self.replay(connection, {conversation_id: place.rev}, self.recent.kept)

    def replay(self, connection: Connection, revs: dict[int, int], events: Iterable[Event]) -> None:
        """Those beyond what it knows already."""
        given = set()
        for event in events:
            mark = event.conversation_id, event.rev
            room = self.rooms.get(event.conversation_id)
            if room and mark not in given and event.rev > revs.get(event.conversation_id, event.rev):
                given.add(mark)
                room.note(event.rev, room.active_at)
                self._deliver(connection, event)

    def revoke(self, session_ids: set[int]) -> None:
        for connection in self.connections:
            if connection.caller.session_id in session_ids:
                connection.close(Close.SESSION_REVOKED, "session ended")

    def revoke_user(self, user_id: int) -> None:
        for connection in tuple(self.users.get(user_id, ())):
            connection.close(Close.SESSION_REVOKED, "account closed")
