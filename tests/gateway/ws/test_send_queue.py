"""The queues of one socket: bounded, in order, and every dropped event is followed by a resync."""

import asyncio
import json
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.ws import metrics, send_queue
from gateway.ws.hub import Subscribers
from gateway.ws.protocol import text_frame
from gateway.ws.replay_buffer import MAX_EVENTS, Event, ReplayBuffer
from gateway.ws.send_queue import ALL, MAX_BYTES, MAX_FRAMES, REPLY, SendQueue
from gateway.ws.task_queue import KeyedTaskQueue

BIG = 200_000
PUTS = st.tuples(st.sampled_from([REPLY, ALL, 1, 2, 3]), st.sampled_from([10, 1_000, BIG]))
LATEST = st.tuples(st.sampled_from(["typing:1", "receipt:2", "presence:3"]), st.sampled_from([10, BIG]))
STEPS = st.lists(st.one_of(PUTS, LATEST, st.just("take"), st.just("burst"), st.just("drain")), max_size=60)


def payload_of(frame: bytes) -> bytes:
    size = frame[1]
    return frame[2:] if size < 126 else frame[4:] if size == 126 else frame[10:]


class Reader:
    """A client: the frames that it read, and the conversations that it was told to sync."""

    def __init__(self, queue: SendQueue) -> None:
        self.queue = queue
        self.taken: list[int] = []
        self.dirty: set[int] = set()
        self.latest: list[bytes] = []

    def take(self) -> bool:
        frame = self.queue.take()
        if frame is None:
            return False
        if frame.startswith(b"n"):
            self.taken.append(int(frame[1:11]))
        elif frame.startswith(b"k"):
            self.latest.append(frame)
        else:
            ids = json.loads(payload_of(frame))["data"]["conversation_ids"]
            self.dirty |= {ALL} if ids is None else set(map(int, ids))
        return True


def take_step(step: object, queue: SendQueue, reader: Reader, sent: list[int]) -> None:
    match step:
        case "take":
            reader.take()
        case "drain":
            while reader.take():
                pass
        case "burst":
            for _ in range(MAX_FRAMES):
                queue.put(b"n%010d" % len(sent), 1)
                sent.append(1)
        case (str(key), int(size)):
            queue.put_latest(key, b"k" + key.encode() + b"x" * size)
        case (int(conversation), int(size)):
            queue.put(b"n%010d" % len(sent) + b"x" * size, conversation)
            sent.append(conversation)


@given(STEPS)
@settings(deadline=None, max_examples=200)
def test_every_event_is_taken_in_order_or_its_conversation_is_named_for_a_sync(steps: Sequence[object]) -> None:
    queue = SendQueue()
    reader = Reader(queue)
    sent: list[int] = []  # conversation of each
    for step in steps:
        take_step(step, queue, reader, sent)
        assert len(queue) <= MAX_FRAMES or REPLY in sent
        assert queue.size <= MAX_BYTES or REPLY in sent
    while reader.take():
        pass
    assert reader.taken == sorted(set(reader.taken))
    for number, conversation in enumerate(sent):
        assert number in reader.taken or conversation in reader.dirty or ALL in reader.dirty
        assert number in reader.taken or conversation != REPLY
    assert (queue.size, len(queue), bool(queue)) == (0, 0, False)


def test_of_a_key_only_the_latest_counts_and_it_goes_before_any_durable_event() -> None:
    waiting = SendQueue()
    for number in range(10):
        waiting.put_latest("typing:1", b"%d" % number)
    assert [waiting.take(), waiting.take()] == [b"9", None]
    waiting.put_latest("typing:1", b"x")
    for number in range(MAX_FRAMES):
        waiting.put(b"%d" % number, 1)
    assert [waiting.take() for _ in range(MAX_FRAMES + 1)] == [*(b"%d" % n for n in range(MAX_FRAMES)), None]


def test_what_is_dropped_is_counted() -> None:
    before = dropped()
    waiting = SendQueue()
    waiting.put_latest("typing:1", b"x")
    waiting.put(b"reply", REPLY)
    for _ in range(MAX_FRAMES):  # the first that does not fit drops all there are
        waiting.put(b"x", 1)
    waiting.put(b"x", 2)
    waiting.put_latest("typing:1", b"x" * MAX_BYTES)
    assert {lane: count - before[lane] for lane, count in dropped().items()} == {"durable": MAX_FRAMES + 1, "latest": 2}


def dropped() -> dict[str, float]:
    (metric,) = metrics.DROPPED.collect()
    return {sample.labels["lane"]: sample.value for sample in metric.samples if sample.name.endswith("_total")}


def test_more_conversations_than_can_be_named_are_all() -> None:
    waiting = SendQueue()
    waiting.put(b"x" * (MAX_BYTES + 1), 1)
    for id in range(1, send_queue.MAX_DIRTY + 10):
        waiting.put(b"x", id)
    frame = waiting.take()
    assert frame
    assert json.loads(payload_of(frame))["data"] == {"conversation_ids": None, "reason": "slow"}


def test_frames_are_as_long_as_they_say() -> None:
    for size in (0, 1, 125, 126, 65_535, 65_536, 200_000):
        frame = text_frame(b"x" * size)
        assert frame[0] == 0x81
        assert len(payload_of(frame)) == size


@given(st.lists(st.integers(min_value=1, max_value=90)))
def test_a_conversation_takes_each_rev_once_however_they_come(revs: list[int]) -> None:
    subscribers = Subscribers(0)
    taken = [rev for rev in revs if subscribers.record(rev, 0.0)]
    assert len(taken) == len(set(taken))
    late = {rev for index, rev in enumerate(revs) if rev <= max(revs[:index], default=0) - 64}
    assert set(taken) | late >= set(revs)


def test_a_new_conversation_has_seen_what_was_listed() -> None:
    subscribers = Subscribers(10)
    assert [subscribers.record(rev, 0.0) for rev in (9, 10, 12, 11, 11, 12)] == [False, False, True, True, False, False]


def test_the_recent_events_are_bounded_and_say_when_some_are_gone() -> None:
    buffer = ReplayBuffer()
    start = buffer.position
    for rev in range(10):
        buffer.add(Event(1, rev, b"x"))
    middle = buffer.position
    assert [event.rev for event in buffer.since(start) or ()] == list(range(10))
    assert buffer.since(middle) == []
    for rev in range(MAX_EVENTS):
        buffer.add(Event(1, rev, b"x"))
    assert buffer.since(start) is None
    assert len(buffer.since(middle) or ()) == MAX_EVENTS
    buffer.add(Event(1, 1, b"x" * 9_000_000))
    assert buffer.events == []


async def test_requests_of_a_line_keep_their_order_and_lines_do_not_wait_for_each_other() -> None:
    queue, done, gate = KeyedTaskQueue(), [], asyncio.Event()

    async def slow(name: str) -> None:
        await gate.wait()
        done.append(name)

    async def quick(name: str) -> None:
        done.append(name)

    queue.put("a", lambda: slow("a1"))
    queue.put("a", lambda: quick("a2"))
    queue.put("b", lambda: quick("b1"))
    await asyncio.sleep(0.01)
    assert (done, queue.pending) == (["b1"], 2)
    gate.set()
    await asyncio.sleep(0.01)
    assert (done, queue.pending) == (["b1", "a1", "a2"], 0)
