"""A socket of a dialect. It takes our events as every socket does, and writes the dialect's frames.

Towards the gateway it is a client of our own protocol: it knows the rev of each of its conversations, drops what it
has, and reads what it missed from the store (catch_up.py). So a socket that reads slowly needs no queue of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from gateway.ws import metrics
from gateway.ws.connection import Connection
from gateway.ws.dialects.events import Event, EventReader, Notice, read_notice
from gateway.ws.frames import Close
from gateway.ws.protocol import SocketProtocol

MAX_QUEUED_FRAMES = 128  # beyond these the socket reads from the store what is still to come
MAX_QUEUED_BYTES = 256 * 1024
KEEPALIVE_SECONDS = 30.0
CONFIRM_SECONDS = 3.0  # from a message to the ping whose answer shows that the client has it
BUSY_SECONDS = 10.0  # between two such pings, at least: more of them would cost as much as the messages of a busy group
PING = b"\x89\x00"
BY_SEQ = -1  # instead of a rev: the messages after `seq` are still to be sent


class Position:
    """The client's state of a conversation. `peer_id`: of a direct one; `group_id`: of a group's."""

    __slots__ = ("group_id", "peer_id", "rev", "seq")

    def __init__(self, rev: int, seq: int, peer_id: int, group_id: int) -> None:
        self.rev, self.seq, self.peer_id, self.group_id = rev, seq, peer_id, group_id


class Renderer(Protocol):
    """How a dialect writes what happens; None: it has no word for it."""

    offline: int  # messages that are sent after connecting, at most

    def message(self, event: Event, position: Position, user_id: int) -> bytes | None: ...

    def recalled(self, event: Event, position: Position, user_id: int) -> bytes | None: ...

    def notice(self, notice: Notice) -> bytes | None: ...


class DialectConnection(Connection):
    """`catch_up` sends what the client misses; `confirm` stores how far a user has the messages; `on_receipt` gets our
    frames of receipts.
    """

    __slots__ = (
        "_asked_at",
        "_caught_up",
        "_confirm_timer",
        "_pinged",
        "_reader",
        "_unconfirmed",
        "behind",
        "catch_up",
        "confirm",
        "list_again",
        "on_receipt",
        "positions",
        "renderer",
    )

    def __init__(
        self,
        protocol: SocketProtocol,
        renderer: Renderer,
        reader: EventReader,
        catch_up: Callable[["DialectConnection"], Awaitable[None]],
        confirm: Callable[[int, dict[int, int]], None],
    ) -> None:
        super().__init__(protocol)
        self.renderer, self._reader, self.catch_up, self.confirm = renderer, reader, catch_up, confirm
        self.positions: dict[int, Position] = {}
        self.behind: dict[int, int] = {}  # conversations to catch up on, each with the newest rev heard of
        self.list_again = False  # the list of conversations may be out of date
        self.on_receipt: Callable[[bytes], None] | None = None
        self._caught_up = True
        self._unconfirmed: dict[int, int] = {}  # by conversation, the seq up to which messages were written
        self._pinged: dict[int, int] | None = None  # those that an answer to the ping confirms; None: no ping is out
        self._confirm_timer: asyncio.TimerHandle | None = None
        self._asked_at = float("-inf")  # when the last ping was sent to confirm messages, on the loop's clock
        protocol.on_pong = self._pong

    @property
    def is_crowded(self) -> bool:
        return len(self._queue) >= MAX_QUEUED_FRAMES or self._queue.size >= MAX_QUEUED_BYTES

    @property
    def has_queued(self) -> bool:
        return bool(self._queue)

    def deliver(self, frame: bytes, conversation_id: int, rev: int) -> None:
        position = self.positions.get(conversation_id)
        if position is None or conversation_id in self.behind or rev > position.rev + 1 or self.is_crowded:
            if position is None or rev > position.rev:
                self.fall_behind({conversation_id: rev})
        elif rev > position.rev:
            position.rev = rev
            if event := self._reader.read(frame):
                self.show(event, conversation_id, position)

    def show(self, event: Event, conversation_id: int, position: Position) -> None:
        """Sends what the client does not know of the message yet."""
        message, user_id = event.message, self.caller.user_id
        is_recalled = isinstance(message.recalled_at, str)
        if message.seq > position.seq:
            position.seq = message.seq
            frame = None if is_recalled else self.renderer.message(event, position, user_id)
        else:
            frame = self.renderer.recalled(event, position, user_id) if is_recalled else None
        if frame:
            self.reply(frame)
            if message.sender_id != str(user_id):
                self._confirm_later(conversation_id, message.seq)

    def fall_behind(self, revs: dict[int, int]) -> None:
        """Reads what the client misses of these conversations from the store, as soon as it has read what is queued."""
        for conversation_id, rev in revs.items():
            self.behind[conversation_id] = max(rev, self.behind.get(conversation_id, 0))
        if self._caught_up and (self.behind or self.list_again):
            self._caught_up = False
            self.tasks.put("catch up", self._catch_up)

    async def _catch_up(self) -> None:
        await self.catch_up(self)
        self._caught_up = True
        if not self.is_closing:
            self.fall_behind({})

    def request_resync(self, conversation_ids: Iterable[int] | None, reason: str) -> None:
        metrics.RESYNCS.labels(reason).inc()
        self.list_again |= conversation_ids is None
        self.fall_behind(dict.fromkeys(conversation_ids or (), 0))

    def deliver_to_user(self, frame: bytes) -> None:
        """Changes of membership have no word in a dialect, and notifications in one only."""
        if (notice := read_notice(frame)) and (rendered := self.renderer.notice(notice)):
            self.reply(rendered)

    def deliver_latest(self, frame: bytes, key: str) -> None:
        if self.on_receipt and key.startswith("receipt:"):
            self.on_receipt(frame)

    def announce(self, frame: bytes) -> None:
        """Our protocol's frames are not the client's."""

    def start(self, *frames: bytes) -> None:
        self.start_heartbeat()

    def dispose(self) -> None:
        super().dispose()
        self.protocol.on_pong = None
        self.on_receipt = None
        if self._confirm_timer:
            self._confirm_timer.cancel()
            self._confirm_timer = None

    def start_heartbeat(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(KEEPALIVE_SECONDS, self._keep_alive)

    def _keep_alive(self) -> None:
        """A WebSocket answers a ping by itself, so a client that sends nothing lives on, and a dead one is found."""
        if self._pinged is not None and not self.heard:
            self.close(Close.HEARTBEAT, "no pong")
            return
        self.heard = False
        self._ping()
        self.start_heartbeat()

    def _confirm_later(self, conversation_id: int, seq: int) -> None:
        self._unconfirmed[conversation_id] = seq
        if self._confirm_timer is None:
            self._start_confirm_timer()

    def _start_confirm_timer(self) -> None:
        loop = asyncio.get_running_loop()
        at = max(loop.time() + CONFIRM_SECONDS, self._asked_at + BUSY_SECONDS)
        self._confirm_timer = loop.call_at(at, self._ask_to_confirm)

    def _ask_to_confirm(self) -> None:
        self._confirm_timer = None
        if self._unconfirmed and self._pinged is None:  # else the answer that is due asks again
            self._asked_at = asyncio.get_running_loop().time()
            self._ping()

    def _ping(self) -> None:
        if self._pinged is None and not self._queue:  # what is queued would come after the ping
            self._pinged, self._unconfirmed = self._unconfirmed, {}
            self.protocol.write(PING)

    def _pong(self) -> None:
        self.heard = True
        confirmed, self._pinged = self._pinged, None
        if confirmed:
            self.confirm(self.caller.user_id, confirmed)
        if self._unconfirmed and self._confirm_timer is None:
            self._start_confirm_timer()
