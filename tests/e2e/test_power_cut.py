"""After a power cut PostgreSQL, NATS and the media service's files have all that they acknowledged.

`make chaos` cuts the power HITOK_CHAOS_ROUNDS times, after a random number of writes, and besides under a whole hitok
in flight (test_chaos.py). The suite cuts it once.
"""

import hashlib
import os
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import nats
import psycopg
import pytest

from deploy.local.databases import ensure_database
from deploy.local.servers.nats import Nats, start_nats
from deploy.local.servers.postgres import Postgres, start_postgres
from services.kit.context import Caller
from services.media.files import resumable
from services.objectstore.store import key_of
from tests.e2e.chaos.disk import Disk
from tests.e2e.chaos.table import ROWS, Row
from tests.support.media import Running, media_settings, png, running_media_service, upload
from tests.support.servers import Servers, closing, frozen, temporary_folder
from tests.support.social import new_user

SEED = int(os.environ.get("HITOK_CHAOS_SEED", "0")) or random.randrange(2**32)
ROUNDS = int(os.environ.get("HITOK_CHAOS_ROUNDS", "0")) or 1
PART = 50  # bytes of an unfinished upload that were acknowledged
PASSWORD = "password-of-the-test-suite"


@pytest.fixture
def disk() -> Iterator[Disk]:
    if not Disk.is_possible():
        pytest.skip("needs root with the right to mount a disk")
    with temporary_folder() as folder:
        disk = Disk(folder / "disk", 300)
        yield disk
        disk.close()


def test_a_cut_loses_what_was_not_synced_and_keeps_what_was(disk: Disk) -> None:
    """Else the tests below would prove nothing."""
    for name in ("synced", "forgotten"):
        file = os.open(disk.path / name, os.O_WRONLY | os.O_CREAT)
        os.write(file, b"x" * 5_000)
        if name == "synced":
            os.fsync(file)
        os.close(file)
    disk.snapshot()
    disk.lose_power()
    assert (disk.path / "synced").read_bytes() == b"x" * 5_000
    forgotten = disk.path / "forgotten"
    assert not forgotten.exists() or forgotten.read_bytes() == b""


@dataclass
class Acknowledged:
    rows: list[int] = field(default_factory=list)
    events: list[bytes] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)  # by key
    parts: dict[int, tuple[Caller, bytes]] = field(default_factory=dict)  # unfinished uploads by id


async def test_what_was_acknowledged_is_there_after_a_power_cut(disk: Disk, servers: Servers) -> None:
    dice, acked = random.Random(SEED), Acknowledged()
    ROWS.append(row := Row("power cut of servers"))
    with ExitStack() as stack:
        postgres = stack.enter_context(closing(start_postgres(disk.path / "postgres", PASSWORD)))
        broker = stack.enter_context(closing(start_nats(disk.path / "nats", PASSWORD)))
        settings = media_settings(ensure_database(postgres.url, "media", PASSWORD), servers, disk.path / "var")
        for _ in range(ROUNDS):
            async with running_media_service(settings, background=False) as media:
                for number in range(dice.randint(2, 6)):
                    await write(acked, postgres, broker, media, number)
                with frozen(postgres), frozen(broker):
                    disk.snapshot()
            for server in (postgres, broker):  # whatever they write from here on is lost
                server.kill()
            disk.lose_power()
            for server in (postgres, broker):
                server.start()
            async with running_media_service(settings, background=False) as media:
                await compare(acked, postgres, broker, media)
            row.rounds, row.acked = row.rounds + 1, 4 * len(acked.rows)


async def write(acked: Acknowledged, postgres: Postgres, broker: Nats, media: Running, number: int) -> None:
    async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as connection:
        await connection.execute("CREATE TABLE IF NOT EXISTS kept (id bigint PRIMARY KEY)")
        row = len(acked.rows)
        await connection.execute("INSERT INTO kept VALUES (%s)", [row])
        acked.rows.append(row)
    client = await nats.connect(broker.url)
    stream = client.jetstream()
    await stream.add_stream(name="KEPT", subjects=["kept"])
    event = os.urandom(8)
    await stream.publish("kept", event)
    acked.events.append(event)
    await client.close()
    user, picture = new_user(), png(20, 20)
    stored = await upload(media, user, picture)
    acked.files[key_of(stored.file)] = picture
    caller, data, id = Caller(user), png(40, 40), media.service.new_id()
    async with media.service.database.transaction() as connection:
        await resumable.create(connection, media.settings, caller, id, len(data), "")
    await resumable.append(media.service, caller, id, 0, "", in_one(data[:PART]))
    acked.parts[id] = (caller, data)


async def compare(acked: Acknowledged, postgres: Postgres, broker: Nats, media: Running) -> None:
    async with await psycopg.AsyncConnection.connect(postgres.url) as connection:
        rows = await (await connection.execute("SELECT id FROM kept ORDER BY id")).fetchall()
    assert [id for (id,) in rows] == acked.rows, SEED
    client = await nats.connect(broker.url)
    stream = client.jetstream()
    state = (await stream.stream_info("KEPT")).state
    events = [(await stream.get_msg("KEPT", seq)).data for seq in range(state.first_seq, state.last_seq + 1)]
    await client.close()
    assert events == acked.events, SEED
    for key, data in acked.files.items():
        assert b"".join([chunk async for chunk in media.service.storage.read(key)]) == data, (SEED, key)
    for id, (caller, data) in acked.parts.items():
        row, _ = await resumable.get(media.service, caller, id)
        assert row.received == PART, SEED
        _, details = await resumable.append(media.service, caller, id, PART, "", in_one(data[PART:]))
        assert details and details.row.hash == hashlib.sha256(data).hexdigest()
    acked.parts.clear()  # they are files now, whose bytes were compared by their hash


async def in_one(data: bytes) -> AsyncIterator[bytes]:
    yield data
