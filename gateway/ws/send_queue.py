"""What waits to be written to one socket: bounded, and honest about what it had to forget."""

from collections import deque

from gateway.ws import metrics
from gateway.ws.frames import resync

MAX_FRAMES = 256
MAX_BYTES = 1024 * 1024
MAX_DIRTY = 500  # conversations named in one resync; beyond, it says "all"
ALL = 0  # no conversation's: forgetting it leaves everything in doubt
REPLY = -1  # never forgotten: whoever asked waits for it
DROPPED, DROPPED_LATEST = (metrics.DROPPED.labels(lane) for lane in ("durable", "latest"))


class Lanes:
    """Two lanes. Durable events keep their order, and are forgotten all at once when they do not fit; of what
    has a key only the latest counts, and goes first. Replies are with the durable ones and stay."""

    __slots__ = ("_dirty", "_durable", "_latest", "_size")

    def __init__(self) -> None:
        self._durable: deque[tuple[bytes, int]] = deque()
        self._latest: dict[str, bytes] = {}
        self._dirty: set[int] = set()
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._durable or self._latest or self._dirty)

    def __len__(self) -> int:
        return len(self._durable) + len(self._latest)

    @property
    def size(self) -> int:
        """In bytes."""
        return self._size

    @property
    def is_over(self) -> bool:
        return len(self) > MAX_FRAMES or self._size > MAX_BYTES

    def put(self, frame: bytes, conversation_id: int) -> None:
        """A durable event of the conversation, of none of them (ALL), or a REPLY."""
        if self._dirty and conversation_id != REPLY:
            self._soil(conversation_id)
            DROPPED.inc()
            return
        self._durable.append((frame, conversation_id))
        self._size += len(frame)
        if self.is_over:
            self._drop_latest()
        if self.is_over:
            self._forget()

    def put_latest(self, key: str, frame: bytes) -> None:
        """Instead of an earlier frame of that key; dropped if there is no room."""
        before = self._latest.pop(key, b"")
        self._size -= len(before)
        if len(self) < MAX_FRAMES and self._size + len(frame) <= MAX_BYTES:
            self._latest[key] = frame
            self._size += len(frame)
        else:
            DROPPED_LATEST.inc()

    def take(self) -> bytes | None:
        """The next to write. When all is written, a resync for what was forgotten."""
        if self._durable:
            frame, _ = self._durable.popleft()
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

    def _forget(self) -> None:
        replies = [entry for entry in self._durable if entry[1] == REPLY]
        DROPPED.inc(len(self._durable) - len(replies))
        metrics.RESYNCS.labels("slow").inc()
        for _, conversation_id in self._durable:
            if conversation_id != REPLY:
                self._soil(conversation_id)
        self._durable = deque(replies)
        self._size = sum(len(frame) for frame, _ in replies)

    def _soil(self, conversation_id: int) -> None:
        if len(self._dirty) >= MAX_DIRTY:
            conversation_id = ALL
        self._dirty.add(conversation_id)
