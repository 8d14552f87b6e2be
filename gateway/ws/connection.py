"""One socket: what waits to be written to it, whether it still lives, and how it ends."""

import asyncio
import secrets

from gateway.ws import metrics
from gateway.ws.frames import PING, Close, Place, resync
from gateway.ws.protocol import Wire
from gateway.ws.send_queue import ALL, MAX_FRAMES, REPLY, Lanes
from gateway.ws.task_queue import Lines
from services.kit.context import ANONYMOUS, Caller

HEARTBEAT_SECONDS = 25.0
PONG_SECONDS = 10.0
STALL_SECONDS = 10.0  # without a byte taken


class Connection:
    """Everything here but `room` is done at once, without waiting: an event for a thousand sockets is one loop."""

    __slots__ = (
        "_held",
        "_lanes",
        "_room",
        "_stall",
        "_timer",
        "ahead",
        "caller",
        "conversations",
        "frames_full_at",
        "heard",
        "id",
        "is_live",
        "lines",
        "moves",
        "watching",
        "wire",
    )

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.id = secrets.token_hex(8)
        self.caller: Caller = ANONYMOUS
        self.conversations: dict[int, int] = {}  # and the seq beyond which he may see their messages
        self.is_live = False  # it was told `ready`
        # While it resumes: the conversations that it joined since it began, or left (None).
        self.moves: dict[int, Place | None] | None = None
        # Revs that it was given before the events of the same came by; see `deliver`.
        self.ahead: dict[int, int] = {}
        self.watching: tuple[int, ...] = ()  # whose presence
        self.lines = Lines()
        self.frames_full_at = 0.0
        self.heard = True  # anything, since the last ping
        self._held: list[bytes] = []
        self._lanes = Lanes()
        self._room: asyncio.Future[None] | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        wire.on_writable = self._flush

    def deliver(self, frame: bytes, conversation_id: int, rev: int) -> None:
        """A durable event, unless the client was given that rev already."""
        if self.ahead and (known := self.ahead.get(conversation_id)) is not None:
            if rev <= known:
                return
            del self.ahead[conversation_id]
        self._put(frame, conversation_id)

    def deliver_own(self, frame: bytes) -> None:
        """A durable event that belongs to no conversation, such as a notification; not before `ready`."""
        if self.is_live:
            self._put(frame, ALL)
        elif len(self._held) < MAX_FRAMES:
            self._held.append(frame)
        else:
            self._held = [resync(None, "slow")]

    def start(self, *frames: bytes) -> None:
        """`ready` and what belongs to it, then what was held back."""
        for frame in frames:
            self.reply(frame)
        held, self._held = self._held, []
        for frame in held:
            self._put(frame, ALL)
        self.beat()

    def deliver_latest(self, frame: bytes, key: str) -> None:
        """What may be dropped, and is overtaken by the next of its key."""
        if self._lanes or self.wire.is_full:
            self._lanes.put_latest(key, frame)
            self._watch_stall()
        else:
            self.wire.write(frame)

    def reply(self, frame: bytes) -> None:
        """Never dropped; a client that keeps asking and does not read is closed."""
        self._put(frame, REPLY)
        if self._lanes.is_over:
            self.close(Close.SLOW, "too much unread")

    def doubt(self, conversation_ids: list[int] | None, reason: str) -> None:
        """Tells the client to sync them, or all; after what waits."""
        metrics.RESYNCS.labels(reason).inc()
        if conversation_ids is None:
            self._put(resync(None, reason), ALL)
        else:
            self._put(resync(conversation_ids, reason), conversation_ids[0] if len(conversation_ids) == 1 else ALL)

    async def room(self) -> None:
        """Until nothing waits to be written: whoever does not read is not read from either."""
        while self._lanes and not self.is_closing:
            self._room = self._room or asyncio.get_running_loop().create_future()
            await self._room

    @property
    def is_closing(self) -> bool:
        return self.wire.close_sent or self.wire.transport.is_closing()

    @property
    def waiting_bytes(self) -> int:
        return self._lanes.size

    def close(self, code: Close, reason: str) -> None:
        if not self.is_closing:
            metrics.CLOSED.labels(int(code)).inc()
            self.wire.close(code, reason)
        self.forget()

    def forget(self) -> None:
        """Lets go of timers and of what waits; at the end."""
        for timer in (self._timer, self._stall):
            if timer:
                timer.cancel()
        self._timer = self._stall = None
        self._lanes = Lanes()
        self.wire.on_writable = None
        self._free_room()

    def beat(self) -> None:
        """Keeps pinging from now on."""
        self._timer = asyncio.get_running_loop().call_later(HEARTBEAT_SECONDS, self._ping)

    def _ping(self) -> None:
        self.heard = False
        if not self._lanes:  # who does not take what waits for him is found out by `_check_stall`
            self.wire.write(PING)
        self._timer = asyncio.get_running_loop().call_later(PONG_SECONDS, self._check_pong)

    def _check_pong(self) -> None:
        if not self.heard:
            self.close(Close.HEARTBEAT, "no pong")
            return
        self._timer = asyncio.get_running_loop().call_later(HEARTBEAT_SECONDS - PONG_SECONDS, self._ping)

    def _put(self, frame: bytes, conversation_id: int) -> None:
        if self._lanes or self.wire.is_full:
            self._lanes.put(frame, conversation_id)
            self._watch_stall()
        else:
            self.wire.write(frame)

    def _flush(self) -> None:
        """The transport takes more."""
        while not self.wire.is_full and (frame := self._lanes.take()):
            self.wire.write(frame)
        if self._stall and not self.wire.is_full:
            self._stall.cancel()
            self._stall = None
        if not self._lanes:
            self._free_room()

    def _watch_stall(self) -> None:
        if self._stall is None:
            loop = asyncio.get_running_loop()
            self._stall = loop.call_later(STALL_SECONDS, self._check_stall, self.wire.waiting_bytes)

    def _check_stall(self, waiting_bytes: int) -> None:
        self._stall = None
        if self.wire.is_full:
            if self.wire.waiting_bytes >= waiting_bytes:
                self.close(Close.SLOW, "nothing read")
            else:
                self._watch_stall()  # slowly, but it is taken

    def _free_room(self) -> None:
        if self._room and not self._room.done():
            self._room.set_result(None)
        self._room = None
