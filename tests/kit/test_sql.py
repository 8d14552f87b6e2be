"""Statements as they are run: one trip each, prepared once, with rows of a type."""

import asyncio
from typing import Any, NamedTuple

import msgspec
import pytest
from sqlalchemy import BigInteger, bindparam, insert, literal, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from services.kit.db import Database, after_commit, one_of, open_database
from services.kit.events.outbox import INBOX
from services.kit.sql.pool import Link
from services.kit.sql.statements import Statement, bind
from services.user.config import UserSettings
from tests.support.plans import watching


class Number(NamedTuple):
    n: int


class InboxRow(NamedTuple):
    consumer: str
    event: str


EVENT = bindparam("event", type_=INBOX.c.event.type)
READ = Statement(select(INBOX.c.consumer, INBOX.c.event).where(INBOX.c.event == EVENT), InboxRow)
ADD: Statement[InboxRow] = Statement(insert(INBOX).values(consumer="test", event=bindparam("event")))


async def add(database: Database, *events: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(insert(INBOX), [{"consumer": "test", "event": event} for event in events])


def test_a_renamed_column_fails_the_import() -> None:
    with pytest.raises(TypeError, match="InboxRow has the fields"):
        Statement(select(INBOX.c.consumer, INBOX.c.handled_at), InboxRow)


def test_a_statement_that_changes_with_its_list_is_refused() -> None:
    with pytest.raises(TypeError, match="one_of"):
        Statement(select(INBOX.c.event).where(INBOX.c.event.in_(["a", "b"])))


def test_a_missing_parameter_is_an_error() -> None:
    with pytest.raises(KeyError):
        READ.bind()


async def test_rows_have_their_type(database: Database) -> None:
    await add(database, "a", "b")
    async with database.reading() as connection:
        row = await connection.fetch_one(READ, event="b")
        assert row is not None and row == InboxRow("test", "b") and row.event == "b"
        assert await connection.fetch_one(READ, event="c") is None


async def test_the_same_sql_serves_typed_rows_and_others_on_one_connection(database: Database) -> None:
    numbers = select(literal(7, BigInteger).label("n"))
    async with database.reading() as connection:
        for _ in range(3):
            assert (await connection.execute(numbers)).scalar_one() == 7
            assert await connection.fetch(Statement(numbers, Number)) == [(7,)]


async def test_numbers_of_any_size_share_a_prepared_statement(database: Database) -> None:
    async with database.reading() as connection:
        link: Link = connection._link
        for number in (1, 40_000, 3_000_000_000, -(2**63)):
            assert (await connection.execute(text("SELECT CAST(:n AS bigint)"), {"n": number})).scalar_one() == number
        before = len(link.prepared)
        for events in (["a"], ["a", "b"], []):
            await connection.execute(select(INBOX.c.event).where(one_of(INBOX.c.event, events)))
        assert len(link.prepared) == before + 1


async def test_a_write_of_one_statement_needs_no_transaction(database: Database) -> None:
    async with database.reading() as connection:
        await connection.fetch(ADD, event="a")
        with pytest.raises(IntegrityError):
            await connection.fetch(ADD, event="a")
        with pytest.raises(LookupError):
            after_commit(connection, lambda: None)
        assert len(await connection.fetch(READ, event="a")) == 1


async def test_statements_of_one_trip_are_all_or_nothing(database: Database) -> None:
    with pytest.raises(IntegrityError):
        async with database.transaction() as connection:
            await connection.fetch_each(ADD.bind(event="a"), ADD.bind(event="a"), READ.bind(event="a"))
    async with database.reading() as connection:
        assert await connection.fetch(READ, event="a") == []
        results = await connection.fetch_each(ADD.bind(event="b"), READ.bind(event="b"))
        assert results == [[], [InboxRow("test", "b")]]


async def test_a_transaction_without_a_statement_makes_no_trip(database: Database) -> None:
    async with database.transaction() as connection:
        assert connection._link.idle
    with watching(database) as seen:
        async with database.transaction() as connection:
            await connection.fetch(READ, event="a")
            assert not connection._link.idle
    assert len(seen) == 1


async def test_a_connection_is_used_again_after_an_error_and_after_a_caller_gave_up(settings: UserSettings) -> None:
    async with open_database(msgspec.structs.replace(settings, postgres_pool=1)) as database:
        async with database.reading() as connection:
            link = connection._link
        for _ in range(2):
            with pytest.raises(DBAPIError):
                async with database.transaction() as connection:
                    await connection.execute(text("SELECT 1 / 0"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), database.transaction() as connection:
                await connection.execute(text("SELECT pg_sleep(10)"))
        async with database.reading() as connection:
            assert connection._link is link
            assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1


async def test_whoever_waits_gets_the_connection_that_becomes_free(settings: UserSettings) -> None:
    async with open_database(msgspec.structs.replace(settings, postgres_pool=1)) as database:

        async def use() -> int:
            async with database.reading() as connection:
                return int((await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one())

        async with database.reading() as connection:
            waiting = [asyncio.create_task(use()) for _ in range(5)]
            await asyncio.sleep(0)
            waiting[1].cancel()
            connection.invalidate()  # the next in the queue has to open a new one
        pids = [result for result in await asyncio.gather(*waiting, return_exceptions=True) if isinstance(result, int)]
        assert len(pids) == 4 and len(set(pids)) == 1
        assert database.pool.in_use == 0


def test_percent_signs_and_casts_stay_as_they_are() -> None:
    shape = bind(text("SELECT '50%' LIKE '5%' AND CAST(:a AS text) = 'x'::text || :a"), {"a": "x"}).shape
    assert shape.text == "SELECT '50%' LIKE '5%' AND CAST($1 AS text) = 'x'::text || $1"


async def test_a_column_that_a_migration_adds_moves_no_value(settings: UserSettings) -> None:
    """The previous release runs on the schema of the next one: also what it has prepared, and the names of its rows."""
    everything: Statement[Any] = Statement("SELECT early.*, 7 AS last FROM early")
    async with open_database(settings) as database:
        async with database.transaction() as connection:
            await connection.execute(text("CREATE TABLE early (a int)"))
            await connection.execute(text("INSERT INTO early VALUES (1)"))
        try:
            async with database.reading() as connection:
                assert [row.last for row in await connection.fetch(everything)] == [7]
            async with database.transaction() as connection:
                await connection.execute(text("ALTER TABLE early ADD COLUMN b int NOT NULL DEFAULT 2"))
            with pytest.raises(OperationalError, match="cached plan"):  # the caller's call is tried again
                async with database.reading() as connection:
                    await connection.fetch_one(everything)
            async with database.reading() as connection:
                assert [(row.a, row.b, row.last) for row in await connection.fetch(everything)] == [(1, 2, 7)]
        finally:
            async with database.transaction() as connection:
                await connection.execute(text("DROP TABLE early"))
