"""From the outbox through the stream to the inbox. Each test has its own database and subjects."""

import asyncio
import os
import random
import secrets
import shutil
import subprocess
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from inspect import isawaitable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import RetentionPolicy, StreamConfig
from nats.js.errors import BadRequestError
from sqlalchemy import text

from deploy.local.servers.nats import Nats
from deploy.local.servers.postgres import Postgres
from services.kit import background, db
from services.kit.db import Database, after_commit, open_database
from services.kit.errors import CacheUnavailable
from services.kit.events import consumer as consumers
from services.kit.events import pruning, publishing, recovery
from services.kit.events import relay as relays
from services.kit.events.consumer import MAX_DELIVERIES, consume, consume_batches
from services.kit.events.outbox import emit
from services.kit.events.relay import relaying
from services.kit.events.stream import BATCH, STREAM, SUBJECTS, ensure_stream
from services.kit.nats import Event, open_nats
from services.kit.sql.connection import AsyncConnection
from services.user.config import UserSettings
from tests.support.servers import frozen, private_nats


@pytest.fixture
def noun() -> str:
    """The middle of this test's subjects and the source of its events."""
    return f"thing{secrets.token_hex(4)}"


@pytest.fixture
async def nats(settings: UserSettings) -> AsyncIterator[Client]:
    async with connected(settings.nats_url) as client:
        yield client


@pytest.fixture
def mortal_nats(tmp_path: Path) -> Iterator[Nats]:
    with private_nats(tmp_path) as server:
        yield server


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shortens waits that take seconds in production."""
    monkeypatch.setattr(consumers, "RETRY_DELAY", 0.05)
    for module in (relays, consumers):
        monkeypatch.setattr(module, "POLL", 0.5)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Client]:
    async with open_nats(url, "test") as client:
        await eventually(lambda: client.is_connected)
        yield client


@asynccontextmanager
async def relay(settings: UserSettings, client: Client, noun: str) -> AsyncIterator[Database]:
    """Acts as another process: a connection pool and a relay of its own."""
    async with open_database(settings) as database:
        async with relaying(database, client, noun, settings.postgres_url, 7):
            yield database


async def eventually(condition: Callable[[], object], seconds: float = 10) -> None:
    """`condition` may be a coroutine function."""
    async with asyncio.timeout(seconds):
        while not (await met if isawaitable(met := condition()) else met):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def announce(database: Database, noun: str, *numbers: int, aggregate: str = "thing:1") -> None:
    for number in numbers:
        async with database.transaction() as connection:
            await emit(connection, f"test.{noun}.happened", aggregate, number=number)


async def streamed(client: Client, noun: str, count: int, seconds: float = 10) -> list[Event]:
    """What the stream holds of the subject, in its order, once it holds `count`; and what else soon comes."""
    await ensure_stream(client)
    subscription = await client.jetstream(timeout=2).pull_subscribe(f"events.test.{noun}.>", stream=STREAM)
    got: list[Event] = []
    async with asyncio.timeout(seconds):
        while len(got) < count:
            with suppress(TimeoutError):
                for message in await subscription.fetch(500, timeout=0.5):
                    got.append(msgspec.json.decode(message.data, type=Event))
                    await message.ack()
    with suppress(TimeoutError):
        got += [msgspec.json.decode(message.data, type=Event) for message in await subscription.fetch(500, timeout=0.3)]
    await subscription.unsubscribe()
    return got


def numbers(got: list[Event]) -> list[int]:
    return [event.data["number"] for event in got]


@asynccontextmanager
async def running(job: Awaitable[None]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(job)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def rows(database: Database, query: str) -> list[Any]:
    async with database.transaction() as connection:
        return list((await connection.execute(text(query))).all())


# -- the relay ---------------------------------------------------------------------------------------------------------


async def test_an_event_reaches_the_stream_as_it_was_written(settings: UserSettings, nats: Client, noun: str) -> None:
    async with relay(settings, nats, noun) as database:
        async with database.transaction() as connection:
            await emit(connection, f"test.{noun}.happened", "thing:42", text="名", numbers=[1, 2])
        event = (await streamed(nats, noun, 1))[0]
    assert (event.subject, event.aggregate) == (f"events.test.{noun}.happened", "thing:42")
    assert event.data == {"text": "名", "numbers": [1, 2]} and event.occurred_at.startswith("20")
    async with open_database(settings) as database:
        published = await rows(database, "SELECT published_at FROM outbox")
    assert [row.published_at is not None for row in published] == [True]


async def test_nothing_is_published_of_a_transaction_that_rolled_back(
    settings: UserSettings, nats: Client, noun: str
) -> None:
    async with relay(settings, nats, noun) as database:
        with pytest.raises(ValueError, match="no"):
            async with database.transaction() as connection:
                await emit(connection, f"test.{noun}.happened", "thing:1", number=1)
                raise ValueError("no")
        await announce(database, noun, 2)
        assert numbers(await streamed(nats, noun, 1)) == [2]


async def test_a_transaction_that_commits_late_is_not_passed_over(
    settings: UserSettings, nats: Client, noun: str
) -> None:
    async with relay(settings, nats, noun) as database:
        async with database.transaction() as connection:
            await emit(connection, f"test.{noun}.happened", "thing:1", number=1)
            await announce(database, noun, 2, aggregate="thing:2")
            assert numbers(await streamed(nats, noun, 1)) == [2]
        assert numbers(await streamed(nats, noun, 2)) == [2, 1]


async def test_two_relays_at_once_lose_nothing_repeat_nothing_and_keep_each_aggregates_order(
    settings: UserSettings, nats: Client, noun: str
) -> None:
    aggregates, each = 8, 25

    async def write(database: Database, aggregate: int) -> None:
        for number in range(each):
            async with database.transaction() as connection:
                # As a service does: the aggregate's lock first, which makes the order.
                await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": aggregate})
                await emit(connection, f"test.{noun}.happened", f"thing:{aggregate}", number=number)
                await asyncio.sleep(random.uniform(0, 0.01))

    async with connected(settings.nats_url) as other:
        async with relay(settings, nats, noun) as database, relay(settings, other, noun):
            await asyncio.gather(*(write(database, aggregate) for aggregate in range(aggregates)))
            got = await streamed(nats, noun, aggregates * each)
    by_aggregate = defaultdict(list)
    for event in got:
        by_aggregate[event.aggregate].append(event.data["number"])
    assert len(by_aggregate) == aggregates
    assert all(order == list(range(each)) for order in by_aggregate.values())


async def test_more_than_a_batch_goes_out_in_order_though_two_relays_are_at_it(
    settings: UserSettings, nats: Client, noun: str
) -> None:
    count = BATCH * 2 + 50
    async with open_database(settings) as database:
        async with database.transaction() as connection:
            for number in range(count):
                await emit(connection, f"test.{noun}.happened", "thing:1", number=number)
    async with relay(settings, nats, noun), relay(settings, nats, noun):
        assert numbers(await streamed(nats, noun, count)) == list(range(count))


async def test_what_was_written_while_no_relay_ran_is_published_later(
    settings: UserSettings, nats: Client, noun: str
) -> None:
    async with open_database(settings) as database:
        await announce(database, noun, 1, 2, 3)
    async with relay(settings, nats, noun):
        assert numbers(await streamed(nats, noun, 3)) == [1, 2, 3]


async def test_what_is_written_last_is_flushed_when_the_relay_stops(
    settings: UserSettings, nats: Client, noun: str
) -> None:
    async with relay(settings, nats, noun) as database:
        await announce(database, noun, 1)
    assert numbers(await streamed(nats, noun, 1)) == [1]


async def test_an_event_published_but_not_marked_is_not_published_twice(
    settings: UserSettings, nats: Client, noun: str
) -> None:
    async with relay(settings, nats, noun) as database:
        await announce(database, noun, 1)
        await streamed(nats, noun, 1)
        async with database.transaction() as connection:  # as after a crash between the two
            await connection.execute(text("UPDATE outbox SET published_at = NULL"))
        await announce(database, noun, 2)
        assert numbers(await streamed(nats, noun, 2)) == [1, 2]


async def test_a_database_that_counts_its_rows_again_is_heard(settings: UserSettings, nats: Client, noun: str) -> None:
    """A restored or new database assigns ids that other events had."""
    async with relay(settings, nats, noun) as database:
        await announce(database, noun, 1)
        await eventually(lambda: rows(database, "SELECT FROM outbox WHERE published_at IS NOT NULL"))
        async with database.transaction() as connection:
            await connection.execute(text("TRUNCATE outbox RESTART IDENTITY"))
        await announce(database, noun, 2)
        assert numbers(await streamed(nats, noun, 2)) == [1, 2]


async def test_a_relay_outlives_a_time_without_free_connections(
    settings: UserSettings, nats: Client, noun: str, monkeypatch: pytest.MonkeyPatch, quick: None
) -> None:
    monkeypatch.setattr(db, "POOL_TIMEOUT", 0.1)
    async with relay(msgspec.structs.replace(settings, postgres_pool=1), nats, noun) as database:
        await announce(database, noun, 1)
        await streamed(nats, noun, 1)
        async with database.transaction() as connection:
            await emit(connection, f"test.{noun}.happened", "thing:1", number=2)
            await asyncio.sleep(1)
        assert numbers(await streamed(nats, noun, 2)) == [1, 2]


async def test_published_events_are_kept_for_some_days_and_deleted_while_others_are_published(
    settings: UserSettings, nats: Client, noun: str, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "INTERVAL", 0.05)
    monkeypatch.setattr(pruning, "MAX_ROWS", 2)
    async with relay(settings, nats, noun) as database:
        await announce(database, noun, 1, 2, 3, 4, 5)
        await streamed(nats, noun, 5)
        async with database.transaction() as connection:
            old = "UPDATE outbox SET published_at = now() - interval '8 days' WHERE data->>'number' < '4'"
            await connection.execute(text(old))

        async def pruned() -> bool:
            await announce(database, noun, 6)
            found = {row.data["number"] for row in await rows(database, "SELECT data FROM outbox")}
            return found == {4, 5, 6}

        await eventually(pruned)


async def test_handled_events_are_remembered_as_long_as_they_may_come_again(
    settings: UserSettings, nats: Client, noun: str, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "INTERVAL", 0.05)
    async with relay(settings, nats, noun) as database:
        async with database.transaction() as connection:
            columns, age_ago = "consumer, event, handled_at", "now() - :age * interval '1 day'"
            handled = f"INSERT INTO inbox ({columns}) VALUES (:event, :event, {age_ago})"
            for age in (1, 13, 15):  # the outbox keeps an event for 7 days, then the stream for another 7
                await connection.execute(text(handled), {"event": f"{noun}:{age}", "age": age})

        async def pruned() -> bool:
            found = await rows(database, f"SELECT event FROM inbox WHERE event LIKE '{noun}:%' ORDER BY event")
            return [row.event for row in found] == [f"{noun}:1", f"{noun}:13"]

        await eventually(pruned)


async def test_the_stream_keeps_an_event_for_its_days_alone(mortal_nats: Nats) -> None:
    """After that nothing of an erased user is in it (docs/erasure.md)."""
    async with connected(mortal_nats.url) as client:
        await ensure_stream(client)
        kept = (await client.jetstream().stream_info(STREAM)).config
        assert (kept.max_age, kept.retention) == (7 * 86_400, RetentionPolicy.LIMITS)


async def test_a_stream_that_cannot_be_made_is_an_error_and_one_that_an_operator_made_is_not(mortal_nats: Nats) -> None:
    """NATS answers 400 to both: to other settings, and for instance to too few servers for the replicas."""
    async with connected(mortal_nats.url) as client:
        await client.jetstream().add_stream(name="OTHER", subjects=["events.>"])
        with pytest.raises(BadRequestError):
            await ensure_stream(client)
        await client.jetstream().delete_stream("OTHER")
        await client.jetstream().add_stream(name=STREAM, subjects=["events.>"], max_age=60)
        await ensure_stream(client)
        assert (await client.jetstream().stream_info(STREAM)).config.max_age == 60


async def test_nats_may_be_killed_and_come_back(
    settings: UserSettings, mortal_nats: Nats, noun: str, quick: None
) -> None:
    async with connected(mortal_nats.url) as client, relay(settings, client, noun) as database:
        await announce(database, noun, 1)
        await streamed(client, noun, 1)
        mortal_nats.kill()
        await announce(database, noun, 2, 3)  # nobody waits for NATS
        mortal_nats.start()
        await announce(database, noun, 4)
        assert numbers(await streamed(client, noun, 4, 15)) == [1, 2, 3, 4]


async def test_nats_may_be_away_at_the_start(settings: UserSettings, mortal_nats: Nats, noun: str, quick: None) -> None:
    mortal_nats.kill()
    async with open_nats(mortal_nats.url, "test") as client, relay(settings, client, noun) as database:
        await announce(database, noun, 1)
        await asyncio.sleep(0.3)
        mortal_nats.start()
        await eventually(lambda: client.is_connected)
        assert numbers(await streamed(client, noun, 1, 15)) == [1]


async def test_a_relay_makes_the_stream_anew_when_nats_has_lost_it(
    settings: UserSettings, mortal_nats: Nats, noun: str, quick: None
) -> None:
    async with connected(mortal_nats.url) as client, relay(settings, client, noun) as database:
        await announce(database, noun, 1)
        await streamed(client, noun, 1)
        mortal_nats.kill()
        shutil.rmtree(mortal_nats.folder / "jetstream")
        mortal_nats.start()
        await announce(database, noun, 2)

        async def published() -> bool:
            return not await rows(database, "SELECT id FROM outbox WHERE published_at IS NULL")

        await eventually(published, 15)
        assert numbers(await streamed(client, noun, 1)) == [2]


async def test_a_consumer_goes_on_when_nats_has_lost_it(
    settings: UserSettings, mortal_nats: Nats, noun: str, quick: None
) -> None:
    handled: list[int] = []

    async def handle(_: AsyncConnection, event: Event) -> None:
        handled.append(event.data["number"])

    async with connected(mortal_nats.url) as client, relay(settings, client, noun) as database:
        async with running(consume(database, client, noun, [f"events.test.{noun}.>"], handle)):
            await announce(database, noun, 1)
            await eventually(lambda: handled == [1])
            mortal_nats.kill()
            shutil.rmtree(mortal_nats.folder / "jetstream")
            mortal_nats.start()
            await announce(database, noun, 2)
            await eventually(lambda: handled == [1, 2], 15)


@pytest.fixture
def full_nats(tmp_path: Path) -> Iterator[Nats]:
    """On a disk of its own, of 6 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs root with the right to mount a disk")
    try:
        with private_nats(disk) as server:
            yield server
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch, quick: None) -> None:
    """A stream counts as stuck after a second."""
    monkeypatch.setattr(recovery, "STUCK_SECONDS", 1.0)
    monkeypatch.setattr(recovery, "TROUBLE_SECONDS", 0.5)
    monkeypatch.setattr(recovery, "LOOK_SECONDS", 0.5)
    monkeypatch.setattr(publishing, "PUBLISH_TIMEOUT", 0.5)


async def test_after_a_full_disk_events_flow_again_and_none_is_lost(
    settings: UserSettings, full_nats: Nats, noun: str, hasty: None
) -> None:
    """NATS refuses each publish until it is restarted or the stream is made anew."""
    ballast, handled, subjects = full_nats.folder.parent / "ballast", list[int](), [f"events.test.{noun}.>"]

    async def hold(_: AsyncConnection, event: Event) -> None:
        held.set()
        await asyncio.Event().wait()

    async def handle(_: AsyncConnection, event: Event) -> None:
        handled.append(event.data["number"])

    async with connected(full_nats.url) as client, relay(settings, client, noun) as database:
        await announce(database, noun, 1, 2)
        held = asyncio.Event()
        async with running(consume(database, client, noun, subjects, hold)):
            await held.wait()  # the stream has a consumer, which has handled neither
        await fill(client, ballast)
        await announce(database, noun, 3, 4)
        await eventually(lambda: not background.is_steady(whole=True), 60)
        assert background.is_steady(), "it serves"
        ballast.unlink()
        async with running(consume(database, client, noun, subjects, handle)):
            await eventually(lambda: sorted(handled) == [1, 2, 3, 4], 60)
        await eventually(lambda: background.is_steady(whole=True), 60)
        assert not await rows(database, "SELECT id FROM outbox WHERE published_at IS NULL")


class Killed(Exception):
    """Ends what a process does, as far as NATS can see."""


@pytest.mark.parametrize("meanwhile", ["nothing", "another adds it", "adding it fails", "it is killed"])
async def test_a_stream_that_is_made_anew_says_what_to_repeat_whatever_happens_meanwhile(
    settings: UserSettings, mortal_nats: Nats, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    """Every relay and consumer adds the stream when it finds none, and knows nothing of the one that was deleted."""
    delete, add = JetStreamContext.delete_stream, JetStreamContext.add_stream

    async def deletes(self: JetStreamContext, name: str) -> bool:
        deleted = await delete(self, name)
        if name != STREAM:
            return deleted
        if meanwhile == "it is killed":
            raise Killed
        if meanwhile == "another adds it":
            await ensure_stream(client)
        elif meanwhile == "adding it fails":
            monkeypatch.setattr(JetStreamContext, "add_stream", fails_once)
        return deleted

    async def fails_once(*_: object) -> None:
        monkeypatch.setattr(JetStreamContext, "add_stream", add)
        raise TimeoutError

    async with connected(mortal_nats.url) as client, open_database(settings) as database:
        await ensure_stream(client)
        before = await client.jetstream().stream_info(STREAM)
        await client.jetstream().update_stream(before.config.evolve(max_bytes=1 << 20))
        watch = recovery.StreamWatch(database, client)
        monkeypatch.setattr(recovery, "STUCK_SECONDS", -1)
        monkeypatch.setattr(JetStreamContext, "delete_stream", deletes)
        await watch.fails(recovery.NotStored())
        with suppress(TimeoutError, Killed):
            await watch.fails(recovery.NotStored())
        if meanwhile == "it is killed":
            watch = recovery.StreamWatch(database, client)
        await ensure_stream(client)  # what a relay does next
        await watch.repeat_lost()
        info = await client.jetstream().stream_info(STREAM)
        assert info.created != before.created
        assert info.config.max_bytes == 1 << 20
        assert (info.config.description or "").startswith(recovery.NOTE)
        assert info.config.subjects == SUBJECTS
        assert [stream.config.name for stream in await client.jetstream().streams_info()] == [STREAM]


async def test_a_stream_that_is_only_slow_is_left_as_it_is(
    settings: UserSettings, mortal_nats: Nats, noun: str, hasty: None
) -> None:
    async with connected(mortal_nats.url) as client, relay(settings, client, noun) as database:
        await announce(database, noun, 1)
        await streamed(client, noun, 1)
        with frozen(mortal_nats):
            await announce(database, noun, 2)
            await asyncio.sleep(3)
        assert numbers(await streamed(client, noun, 2, 15)) == [1, 2]
        info = await client.jetstream().stream_info(STREAM)
        assert info.config.description is None


async def fill(client: Client, ballast: Path) -> None:
    """Fills the disk, then publishes until the stream has met that."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(65_536))
    jetstream = client.jetstream(timeout=0.5)
    with suppress(NatsError, TimeoutError):
        while True:
            await jetstream.publish("events.ballast", bytes(10_000))


# -- consumers ---------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def pipeline(settings: UserSettings, client: Client, noun: str) -> AsyncIterator[Database]:
    """A relay, and a stream to consume from."""
    await ensure_stream(client)
    async with relay(settings, client, noun) as database:
        yield database


async def test_a_consumer_hears_subjects_that_a_later_version_added(
    settings: UserSettings, nats: Client, noun: str, quick: None
) -> None:
    handled: list[int] = []

    async def handle(_: AsyncConnection, event: Event) -> None:
        handled.append(event.data["number"])

    async with pipeline(settings, nats, noun) as database:
        async with running(consume(database, nats, noun, [f"events.test.{noun}.other"], handle)):
            await announce(database, noun, 1)
            await streamed(nats, noun, 1)
        subjects = [f"events.test.{noun}.other", f"events.test.{noun}.happened"]
        async with running(consume(database, nats, noun, subjects, handle)):
            await announce(database, noun, 2)
            await eventually(lambda: 2 in handled)


async def test_a_consumer_handles_each_event_once_and_in_order(
    settings: UserSettings, nats: Client, noun: str, quick: None
) -> None:
    handled: list[int] = []

    async def handle(_: AsyncConnection, event: Event) -> None:
        handled.append(event.data["number"])

    async with pipeline(settings, nats, noun) as database:
        async with running(consume(database, nats, noun, [f"events.test.{noun}.>"], handle)):
            await announce(database, noun, *range(30))
            await eventually(lambda: len(handled) >= 30)
            await asyncio.sleep(0.2)
        inbox = await rows(database, "SELECT consumer, event FROM inbox")
    assert handled == list(range(30))
    assert {row.consumer for row in inbox} == {noun} and len(inbox) == 30


async def test_an_event_alone_is_handled_at_once_though_the_server_does_not_say_that_it_is_alone(
    settings: UserSettings, nats: Client, noun: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that sends no status after the last event: who fetches more than there are waits until the timeout."""
    fetch_one, got = JetStreamContext.PullSubscription.fetch, []

    async def fetch(subscription: Any, batch: int, timeout: float) -> list[Msg]:
        end, messages = asyncio.get_running_loop().time() + timeout, list[Msg]()
        while len(messages) < batch:
            try:
                messages += await fetch_one(subscription, 1, max(end - asyncio.get_running_loop().time(), 0.001))
            except TimeoutError:
                if not messages:
                    raise
                break
        return messages

    async def handle(_: AsyncConnection, events: Sequence[Event]) -> None:
        got.extend(numbers(list(events)))

    monkeypatch.setattr(JetStreamContext.PullSubscription, "fetch", fetch)
    monkeypatch.setattr(consumers, "POLL", 600.0)
    async with pipeline(settings, nats, noun) as database:
        async with running(consume_batches(database, nats, noun, [f"events.test.{noun}.>"], handle)):
            for number in range(3):
                await announce(database, noun, number)
                await eventually(lambda: len(got) > number)  # noqa: B023 (called at once)
            await announce(database, noun, *range(3, 30))
            await eventually(lambda: got == list(range(30)))


async def test_an_event_delivered_twice_is_handled_once(
    settings: UserSettings, mortal_nats: Nats, noun: str, quick: None
) -> None:
    handled: list[int] = []

    async def handle(_: AsyncConnection, event: Event) -> None:
        handled.append(event.data["number"])

    async with connected(mortal_nats.url) as client:
        # A stream that takes a repeated message id for new, as the real one does after two minutes.
        jetstream = client.jetstream(timeout=2)
        await jetstream.add_stream(StreamConfig(name=STREAM, subjects=["events.>"], duplicate_window=0.1))
        async with pipeline(settings, client, noun) as database:
            async with running(consume(database, client, noun, [f"events.test.{noun}.>"], handle)):
                await announce(database, noun, 1)
                await eventually(lambda: handled == [1])
                await asyncio.sleep(0.3)
                async with database.transaction() as connection:
                    await connection.execute(text("UPDATE outbox SET published_at = NULL"))
                await announce(database, noun, 2)
                await eventually(lambda: 2 in handled)
            assert numbers(await streamed(client, noun, 3)) == [1, 1, 2]
    assert handled == [1, 2]


async def test_a_handlers_writes_and_the_inbox_row_commit_together(
    settings: UserSettings, nats: Client, noun: str, quick: None
) -> None:
    attempts: list[int] = []

    async def handle(connection: AsyncConnection, event: Event) -> None:
        attempts.append(event.data["number"])
        await connection.execute(text("INSERT INTO inbox (consumer, event) VALUES ('written', 'by the handler')"))
        if len(attempts) < 3:
            raise RuntimeError("not yet")

    async with pipeline(settings, nats, noun) as database:
        async with running(consume(database, nats, noun, [f"events.test.{noun}.>"], handle)):
            await announce(database, noun, 7)
            await eventually(lambda: len(attempts) == 3)
            await asyncio.sleep(0.3)
        inbox = await rows(database, "SELECT consumer FROM inbox ORDER BY consumer")
        dead = await rows(database, "SELECT * FROM dead_letter")
    assert attempts == [7, 7, 7] and not dead
    assert [row.consumer for row in inbox] == sorted([noun, "written"])


async def test_an_event_that_fails_five_times_is_put_aside_and_the_others_go_on(
    settings: UserSettings, nats: Client, noun: str, quick: None
) -> None:
    handled: list[int] = []
    failures: list[int] = []

    async def handle(connection: AsyncConnection, event: Event) -> None:
        if event.data["number"] == 2:
            failures.append(2)
            raise RuntimeError("never")
        after_commit(connection, lambda: handled.append(event.data["number"]))

    async with pipeline(settings, nats, noun) as database:
        async with running(consume(database, nats, noun, [f"events.test.{noun}.>"], handle)):
            await announce(database, noun, 1, 2, 3)
            await eventually(lambda: rows(database, "SELECT FROM dead_letter"))
            await announce(database, noun, 4)
            await eventually(lambda: 4 in handled)
        dead = await rows(database, "SELECT * FROM dead_letter")
    assert handled == [1, 3, 4] and len(failures) >= MAX_DELIVERIES
    assert [(row.consumer, row.subject) for row in dead] == [(noun, f"events.test.{noun}.happened")]
    assert "never" in dead[0].error and msgspec.json.decode(dead[0].data)["data"] == {"number": 2}


async def test_events_that_wait_are_handled_in_few_transactions(
    settings: UserSettings, nats: Client, noun: str, quick: None
) -> None:
    batches: list[list[int]] = []

    async def handle(_: AsyncConnection, events: Sequence[Event]) -> None:
        batches.append([event.data["number"] for event in events])

    async with pipeline(settings, nats, noun) as database:
        async with database.transaction() as connection:
            for number in range(BATCH + 50):
                await emit(connection, f"test.{noun}.happened", "thing:1", number=number)
        await streamed(nats, noun, BATCH + 50)
        async with running(consume_batches(database, nats, noun, [f"events.test.{noun}.>"], handle)):
            await eventually(lambda: sum(map(len, batches)) == BATCH + 50)
    assert [number for batch in batches for number in batch] == list(range(BATCH + 50))
    assert len(batches) <= 5


async def test_a_bad_event_among_many_fails_alone(settings: UserSettings, nats: Client, noun: str, quick: None) -> None:
    handled: list[int] = []

    async def handle(connection: AsyncConnection, events: Sequence[Event]) -> None:
        numbers = [event.data["number"] for event in events]
        await connection.execute(text("INSERT INTO inbox (consumer, event) VALUES ('seen', :n)"), {"n": str(numbers)})
        if 33 in numbers:
            raise RuntimeError("never")
        after_commit(connection, lambda: handled.extend(numbers))

    async with pipeline(settings, nats, noun) as database:
        async with database.transaction() as connection:
            for number in range(100):
                await emit(connection, f"test.{noun}.happened", "thing:1", number=number)
        await streamed(nats, noun, 100)
        async with running(consume_batches(database, nats, noun, [f"events.test.{noun}.>"], handle)):
            await eventually(lambda: rows(database, "SELECT FROM dead_letter"))
        inbox = await rows(database, f"SELECT FROM inbox WHERE consumer = '{noun}'")
    assert handled == [number for number in range(100) if number != 33]
    assert len(inbox) == 99


async def test_a_dead_letter_is_handled_when_it_is_published_again_as_the_runbook_says(
    settings: UserSettings, mortal_nats: Nats, noun: str, quick: None
) -> None:
    handled: dict[str, list[int]] = {"mended": [], "other": []}
    broken = True

    async def mended(_: AsyncConnection, event: Event) -> None:
        if broken:
            raise RuntimeError("not yet")
        handled["mended"].append(event.id)

    async def other(_: AsyncConnection, event: Event) -> None:
        handled["other"].append(event.id)

    async with connected(mortal_nats.url) as client:
        soon = StreamConfig(name=STREAM, subjects=["events.>"], duplicate_window=0.2)  # two minutes in earnest
        await client.jetstream().add_stream(soon)
        async with pipeline(settings, client, noun) as database, AsyncExitStack() as consumers:
            for name, handle in (("mended", mended), ("other", other)):
                job = consume(database, client, f"{noun}-{name}", [f"events.test.{noun}.>"], handle)
                await consumers.enter_async_context(running(job))
            await announce(database, noun, 1)
            await eventually(lambda: rows(database, "SELECT event FROM dead_letter"))
            ((event,),) = await rows(database, "SELECT event FROM dead_letter")
            source, id, _ = event.split(":", 2)
            assert source == noun
            broken = False
            async with database.transaction() as connection:
                await connection.execute(text("UPDATE outbox SET published_at = NULL WHERE id = :id"), {"id": int(id)})
                await connection.execute(text("DELETE FROM dead_letter"))
            await eventually(lambda: handled["mended"] == [int(id)])
            await asyncio.sleep(0.3)
            assert handled["other"] == [int(id)]


async def test_what_is_no_event_is_put_aside(settings: UserSettings, nats: Client, noun: str, quick: None) -> None:
    handled: list[Event] = []

    async def handle(_: AsyncConnection, event: Event) -> None:
        handled.append(event)

    async with pipeline(settings, nats, noun) as database:
        async with running(consume(database, nats, noun, [f"events.test.{noun}.>"], handle)):
            await nats.jetstream(timeout=2).publish(f"events.test.{noun}.odd", b"\xff not json")
            await announce(database, noun, 1)
            await eventually(lambda: handled)
            await eventually(lambda: rows(database, "SELECT subject FROM dead_letter"))
        dead = await rows(database, "SELECT subject FROM dead_letter")
    assert [row.subject for row in dead] == [f"events.test.{noun}.odd"]


async def test_a_consumer_goes_on_where_it_stopped(
    settings: UserSettings, nats: Client, noun: str, quick: None
) -> None:
    handled: list[int] = []

    async def handle(_: AsyncConnection, event: Event) -> None:
        handled.append(event.data["number"])

    async with pipeline(settings, nats, noun) as database:
        for first in (1, 3, 5):
            await announce(database, noun, first)
            async with running(consume(database, nats, noun, [f"events.test.{noun}.>"], handle)):
                await announce(database, noun, first + 1)
                await eventually(lambda: len(handled) > first)  # noqa: B023
                await asyncio.sleep(0.1)
    assert handled == [1, 2, 3, 4, 5, 6]


async def test_processes_that_share_a_consumer_share_its_events(
    settings: UserSettings, nats: Client, noun: str, quick: None
) -> None:
    handled: list[int] = []

    async def handle(_: AsyncConnection, event: Event) -> None:
        handled.append(event.data["number"])

    async with pipeline(settings, nats, noun) as database, AsyncExitStack() as stack:
        for _ in range(3):
            client = await stack.enter_async_context(connected(settings.nats_url))
            job = consume(database, client, noun, [f"events.test.{noun}.>"], handle)
            await stack.enter_async_context(running(job))
        await announce(database, noun, *range(20))
        await eventually(lambda: len(handled) >= 20)
        await asyncio.sleep(0.2)
    assert sorted(handled) == list(range(20))


async def test_a_consumer_gets_only_the_subjects_it_asked_for(
    settings: UserSettings, nats: Client, noun: str, quick: None
) -> None:
    handled: list[int] = []

    async def handle(_: AsyncConnection, event: Event) -> None:
        handled.append(event.data["number"])

    subjects = [f"events.test.{noun}.happened", f"events.test.{noun}b.>"]
    async with pipeline(settings, nats, noun) as database:
        async with running(consume(database, nats, noun, subjects, handle)):
            async with database.transaction() as connection:
                for number, subject in enumerate((f"{noun}.happened", f"{noun}.other", f"{noun}b.x", f"{noun}c.x")):
                    await emit(connection, f"test.{subject}", "thing:1", number=number)
            await eventually(lambda: len(handled) >= 2)
            await asyncio.sleep(0.2)
    assert handled == [0, 2]


async def test_a_database_that_is_away_does_not_put_events_aside(
    settings: UserSettings,
    mortal_settings: UserSettings,
    mortal_postgres: Postgres,
    nats: Client,
    noun: str,
    quick: None,
) -> None:
    handled: list[int] = []

    async def handle(_: AsyncConnection, event: Event) -> None:
        handled.append(event.data["number"])

    async with pipeline(settings, nats, noun) as database, open_database(mortal_settings) as mortal:
        async with running(consume(mortal, nats, noun, [f"events.test.{noun}.>"], handle)):
            await announce(database, noun, 1)
            await eventually(lambda: handled == [1])
            mortal_postgres.kill()
            await announce(database, noun, 2, 3)
            await asyncio.sleep(1)  # more than five deliveries long
            mortal_postgres.start()
            await eventually(lambda: len(handled) == 3)
        assert sorted(handled) == [1, 2, 3]
        assert not await rows(mortal, "SELECT * FROM dead_letter")


async def test_a_handler_that_lacks_what_it_needs_is_tried_until_it_has_it(
    settings: UserSettings, nats: Client, noun: str, quick: None
) -> None:
    attempts: list[int] = []

    async def handle(_: AsyncConnection, event: Event) -> None:
        attempts.append(event.data["number"])
        if len(attempts) <= MAX_DELIVERIES + 2:
            raise CacheUnavailable

    async with pipeline(settings, nats, noun) as database:
        async with running(consume(database, nats, noun, [f"events.test.{noun}.>"], handle)):
            await announce(database, noun, 1)
            await eventually(lambda: len(attempts) == MAX_DELIVERIES + 3)
        assert not await rows(database, "SELECT * FROM dead_letter")


async def test_a_relay_beats_when_it_is_asked_to(
    settings: UserSettings, nats: Client, noun: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays, "ASKED", f"beat.ask.{noun}")  # no gateway of another test asks
    beats: list[Msg] = []

    async def take(message: Msg) -> None:
        beats.append(message)

    async def asked() -> bool:
        await nats.publish(relays.ASKED)
        return bool(beats)

    await nats.subscribe(f"beat.{noun}", cb=take)
    async with relay(settings, nats, noun):
        await asyncio.sleep(0.2)
        assert not beats
        await eventually(asked, 30)
