"""One socket: its send queue, its heartbeat, and how it is closed."""

import asyncio
import secrets

from gateway.ws import metrics
from gateway.ws.frames import PING, Close, Membership, resync
from gateway.ws.protocol import SocketProtocol
from gateway.ws.send_queue import ALL, MAX_FRAMES, REPLY, SendQueue
from gateway.ws.task_queue import KeyedTaskQueue
from services.kit.context import ANONYMOUS, Caller

HEARTBEAT_SECONDS = 25.0
PONG_SECONDS = 10.0
STALL_SECONDS = 10.0  # in which the client reads nothing, after which the socket is closed


class Connection:
    """Every method but `drained` returns at once, so that one plain loop delivers an event to a thousand sockets."""

    __slots__ = (
        "_drained",
        "_held",
        "_queue",
        "_stall_timer",
        "_timer",
        "caller",
        "conversations",
        "frame_bucket",
        "heard",
        "id",
        "is_live",
        "min_rev",
        "pending_moves",
        "protocol",
        "tasks",
        "watching",
    )

    def __init__(self, protocol: SocketProtocol) -> None:
        self.protocol = protocol
        self.id = secrets.token_hex(8)
        self.caller: Caller = ANONYMOUS
        # By id, the seq after which the user may see messages: those before it were sent before they joined.
        self.conversations: dict[int, int] = {}
        self.is_live = False  # `ready` was sent
        # While the list of conversations is read: what the user joined since then, or left (None).
        self.pending_moves: dict[int, Membership | None] | None = None
        # By conversation, the first rev that the client does not know yet, if it learned of earlier ones from a sync
        # before their events arrived here.
        self.min_rev: dict[int, int] = {}
        self.watching: tuple[int, ...] = ()  # users whose presence the client subscribed to
        self.tasks = KeyedTaskQueue()
        self.frame_bucket = 0.0  # the rate limit of its frames: when the bucket is full again, on the loop's clock
        self.heard = True  # the client sent something since the last ping
        self._held: list[bytes] = []
        self._queue = SendQueue()
        self._drained: asyncio.Future[None] | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        protocol.on_writable = self._flush

    def deliver(self, frame: bytes, conversation_id: int, rev: int) -> None:
        """Sends a durable event, unless the client knows that rev already."""
        if self.min_rev and (min_rev := self.min_rev.get(conversation_id)) is not None:
            if rev < min_rev:
                return
            del self.min_rev[conversation_id]
        self._put(frame, conversation_id)

    def deliver_to_user(self, frame: bytes) -> None:
        """Sends a durable event that belongs to no conversation, such as a notification; holds it until `ready`."""
        if self.is_live:
            self._put(frame, ALL)
        elif len(self._held) < MAX_FRAMES:
            self._held.append(frame)
        else:
            self._held = [resync(None, "slow")]

    def start(self, *frames: bytes) -> None:
        """Sends `ready` with its syncs, then the frames that were held, and starts the heartbeat."""
        for frame in frames:
            self.reply(frame)
        held, self._held = self._held, []
        for frame in held:
            self._put(frame, ALL)
        self.start_heartbeat()

    def deliver_latest(self, frame: bytes, key: str) -> None:
        """Sends a frame that may be dropped, and that the next one with its key replaces."""
        if self._queue or self.protocol.is_full:
            self._queue.put_latest(key, frame)
            self._watch_stall()
        else:
            self.protocol.write(frame)

    def reply(self, frame: bytes) -> None:
        """Sends a frame that is never dropped. Closes a client that keeps asking and does not read."""
        self._put(frame, REPLY)
        if self._queue.is_over:
            self.close(Close.SLOW, "too much unread")

    def announce(self, frame: bytes) -> None:
        """Sends a frame about the connection itself, such as why it ends."""
        self.reply(frame)

    def request_resync(self, conversation_ids: list[int] | None, reason: str) -> None:
        """Tells the client, after all that is queued, to sync these conversations; None: all of them."""
        metrics.RESYNCS.labels(reason).inc()
        if conversation_ids is None:
            self._put(resync(None, reason), ALL)
        else:
            self._put(resync(conversation_ids, reason), conversation_ids[0] if len(conversation_ids) == 1 else ALL)

    async def drained(self) -> None:
        """Waits for the send queue to drain (backpressure)."""
        while self._queue and not self.is_closing:
            self._drained = self._drained or asyncio.get_running_loop().create_future()
            await self._drained

    @property
    def is_closing(self) -> bool:
        return self.protocol.close_sent or self.protocol.transport.is_closing()

    @property
    def queued_bytes(self) -> int:
        return self._queue.size

    def close(self, code: Close, reason: str) -> None:
        if not self.is_closing:
            metrics.CLOSED.labels(int(code)).inc()
            self.protocol.close(code, reason)
        self.dispose()

    def dispose(self) -> None:
        """Cancels the timers and drops the queue; the connection is not used any more."""
        for timer in (self._timer, self._stall_timer):
            if timer:
                timer.cancel()
        self._timer = self._stall_timer = None
        self._queue = SendQueue()
        self.protocol.on_writable = None
        self._end_drained()

    def start_heartbeat(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(HEARTBEAT_SECONDS, self._ping)

    def _ping(self) -> None:
        self.heard = False
        if not self._queue:  # a client that does not read what is queued is closed by `_check_stall`
            self.protocol.write(PING)
        self._timer = asyncio.get_running_loop().call_later(PONG_SECONDS, self._check_pong)

    def _check_pong(self) -> None:
        if not self.heard:
            self.close(Close.HEARTBEAT, "no pong")
            return
        self._timer = asyncio.get_running_loop().call_later(HEARTBEAT_SECONDS - PONG_SECONDS, self._ping)

    def _put(self, frame: bytes, conversation_id: int) -> None:
        if self._queue or self.protocol.is_full:
            self._queue.put(frame, conversation_id)
            self._watch_stall()
        else:
            self.protocol.write(frame)

    def _flush(self) -> None:
        """Writes what is queued, now that the transport accepts data again."""
        while not self.protocol.is_full and (frame := self._queue.take()):
            self.protocol.write(frame)
        if self._stall_timer and not self.protocol.is_full:
            self._stall_timer.cancel()
            self._stall_timer = None
        if not self._queue:
            self._end_drained()

    def _watch_stall(self) -> None:
        if self._stall_timer is None:
            loop = asyncio.get_running_loop()
            self._stall_timer = loop.call_later(STALL_SECONDS, self._check_stall, self.protocol.buffered_bytes)

    def _check_stall(self, buffered_bytes: int) -> None:
        self._stall_timer = None
        if self.protocol.is_full:
            if self.protocol.buffered_bytes >= buffered_bytes:
                self.close(Close.SLOW, "nothing read")
            else:
                self._watch_stall()  # the client reads, though slowly

    def _end_drained(self) -> None:
        if self._drained and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None
