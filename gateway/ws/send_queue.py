"""The frames that wait to be written to one socket. The queue is bounded, and it remembers which conversations lost
frames, so that the client is told to sync them.
"""

from gateway.ws import metrics
from gateway.ws.frames import resync

MAX_FRAMES = 256
MAX_BYTES = 1024 * 1024
MAX_DIRTY = 500  # conversations named in one resync; with more of them it names none, which means all
ALL = 0  # instead of a conversation id: the frame belongs to none, and dropping it puts everything in doubt
REPLY = -1  # instead of a conversation id: the frame answers a request, and is never dropped
DROPPED, DROPPED_LATEST = (metrics.DROPPED.labels(lane) for lane in ("durable", "latest"))


class SendQueue:
    """Two lanes. Durable events and replies keep their order; when they do not fit, all events are dropped at once and
    the replies stay. Of the frames in the other lane only the latest of each key is kept; when space runs out they
    are dropped first.
    """

    __slots__ = ("_dirty", "_durable", "_latest", "_size")

    def __init__(self) -> None:
        # Each socket has one, mostly empty: an empty deque takes 760 bytes, and a set 216.
        self._durable: list[tuple[bytes, int]] = []
        self._latest: dict[str, bytes] = {}
        self._dirty: dict[int, None] = {}
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._durable or self._latest or self._dirty)

    def __len__(self) -> int:
        return len(self._durable) + len(self._latest)

    @property
    def size(self) -> int:
        """Bytes."""
        return self._size

    @property
    def is_over(self) -> bool:
        return len(self) > MAX_FRAMES or self._size > MAX_BYTES

    def put(self, frame: bytes, conversation_id: int) -> None:
        """Queues a durable event of the conversation, of none (ALL), or a reply (REPLY)."""
        if self._dirty and conversation_id != REPLY:
            self._mark_dirty(conversation_id)
            DROPPED.inc()
            return
        self._durable.append((frame, conversation_id))
        self._size += len(frame)
        if self.is_over:
            self._drop_latest()
        if self.is_over:
            self._drop_durable()

    def put_latest(self, key: str, frame: bytes) -> None:
        """Replaces an earlier frame with that key. Drops the frame if there is no space for it."""
        before = self._latest.pop(key, b"")
        self._size -= len(before)
        if len(self) < MAX_FRAMES and self._size + len(frame) <= MAX_BYTES:
            self._latest[key] = frame
            self._size += len(frame)
        else:
            DROPPED_LATEST.inc()

    def take(self) -> bytes | None:
        """The next frame to write. When the queue is empty, a resync for the conversations that lost events."""
        if self._durable:
            frame, _ = self._durable.pop(0)
        elif self._latest:
            frame = self._latest.pop(next(iter(self._latest)))
        elif self._dirty:
            everything = ALL in self._dirty
            frame = resync(None if everything else sorted(self._dirty), "slow")
            self._dirty.clear()
            return frame
        else:
            return None
        self._size -= len(frame)
        return frame

    def _drop_latest(self) -> None:
        DROPPED_LATEST.inc(len(self._latest))
        self._size -= sum(map(len, self._latest.values()))
        self._latest.clear()

    def _drop_durable(self) -> None:
        replies = [entry for entry in self._durable if entry[1] == REPLY]
        DROPPED.inc(len(self._durable) - len(replies))
        metrics.RESYNCS.labels("slow").inc()
        for _, conversation_id in self._durable:
            if conversation_id != REPLY:
                self._mark_dirty(conversation_id)
        self._durable = replies
        self._size = sum(len(frame) for frame, _ in replies)

    def _mark_dirty(self, conversation_id: int) -> None:
        if len(self._dirty) >= MAX_DIRTY:
            conversation_id = ALL
        self._dirty[conversation_id] = None
