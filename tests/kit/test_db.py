import asyncio
import time
from typing import Any

import grpc.aio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from structlog.testing import capture_logs

from deploy.local.servers.postgres import Postgres
from services.kit import db
from services.kit.cursor import CursorInvalid, decode_cursor, encode_cursor
from services.kit.db import Database, after_commit, open_database
from services.user.config import UserSettings
from tests.support.processes import POOL_TIMEOUT

INSERT = text("INSERT INTO inbox (consumer, event) VALUES ('test', :event)")


async def insert(database: Database, event: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(INSERT, {"event": event})


async def kept(database: Database) -> list[str]:
    async with database.transaction() as connection:
        return list((await connection.execute(text("SELECT event FROM inbox ORDER BY event"))).scalars())


async def test_a_transaction_commits_when_its_block_ends(database: Database) -> None:
    await insert(database, "a")
    assert await kept(database) == ["a"]


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
async def test_a_transaction_rolls_back_when_its_block_raises(database: Database, error: type[BaseException]) -> None:
    with pytest.raises(error):
        async with database.transaction() as connection:
            await connection.execute(INSERT, {"event": "a"})
            raise error
    assert await kept(database) == []


async def test_what_is_not_committed_is_seen_by_nobody(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(INSERT, {"event": "a"})
        assert await kept(database) == []
    assert await kept(database) == ["a"]


async def test_an_exhausted_pool_answers_within_two_seconds_and_recovers(
    settings: UserSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "POOL_TIMEOUT", POOL_TIMEOUT)
    async with open_database(msgspec.structs.replace(settings, postgres_pool=1)) as database:
        async with database.transaction():
            started = time.monotonic()
            with pytest.raises(PoolTimeout):
                await insert(database, "a")
            assert time.monotonic() - started < 2
        await insert(database, "b")
        assert await kept(database) == ["b"]


async def test_callers_that_give_up_midway_do_not_eat_up_the_pool(settings: UserSettings) -> None:
    async with open_database(msgspec.structs.replace(settings, postgres_pool=2)) as database:

        async def sleep() -> None:
            async with database.transaction() as connection:
                await connection.execute(text("SELECT pg_sleep(10)"))

        for _ in range(5):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await asyncio.gather(sleep(), sleep())
        assert await kept(database) == []


async def test_connections_that_a_burst_opened_are_closed_when_they_are_not_needed(
    settings: UserSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.kit.sql.pool.IDLE_SECONDS", 0.0)
    async with open_database(msgspec.structs.replace(settings, postgres_pool=3)) as database:
        held = [await database.pool.take(1) for _ in range(3)]
        for link in held[:2]:
            database.pool.give(link)
        assert database.pool.in_use == 1
        await asyncio.sleep(0.01)
        database.pool.give(held[2])
        await kept(database)
        assert [link.driver.closed for link in held].count(False) == 1


async def test_a_statement_that_outlives_its_caller_is_ended_by_the_server(database: Database) -> None:
    async with database.transaction() as connection:
        for name, value in (
            ("statement_timeout", "5s"),
            ("lock_timeout", "3s"),
            ("idle_in_transaction_session_timeout", "10s"),
        ):
            assert (await connection.execute(text(f"SHOW {name}"))).scalar_one() == value


async def test_the_text_of_a_database_error_does_not_quote_the_values(database: Database) -> None:
    await insert(database, "hunter2")
    with pytest.raises(DBAPIError) as refused:
        async with database.transaction() as connection:
            await connection.execute(INSERT, {"event": "hunter2\0"})
    assert "hunter2" not in str(refused.value)
    with pytest.raises(IntegrityError):
        await insert(database, "hunter2")


async def test_the_server_may_be_killed_and_come_back(mortal_settings: UserSettings, mortal_postgres: Postgres) -> None:
    async with open_database(mortal_settings) as database:
        await asyncio.gather(*(insert(database, f"before {number}") for number in range(10)))
        mortal_postgres.kill()
        started = time.monotonic()
        for result in await asyncio.gather(
            *(insert(database, f"during {number}") for number in range(10)), return_exceptions=True
        ):
            assert isinstance(result, SQLAlchemyError)
        assert time.monotonic() - started < 1
        mortal_postgres.start()
        await insert(database, "after")
        events = await kept(database)
    assert len(events) == 11 and "after" in events


async def test_a_server_restarted_behind_our_back_costs_one_error_at_most(
    mortal_settings: UserSettings, mortal_postgres: Postgres
) -> None:
    async with open_database(mortal_settings) as database:
        await asyncio.gather(*(kept(database) for _ in range(10)))
        mortal_postgres.kill()
        mortal_postgres.start()
        failures = 0
        for _ in range(10):
            try:
                await kept(database)
            except DBAPIError:
                failures += 1
    assert failures <= 1


async def test_opening_waits_for_the_server(mortal_settings: UserSettings, mortal_postgres: Postgres) -> None:
    mortal_postgres.kill()

    async def use() -> list[str]:
        async with open_database(mortal_settings) as database:
            return await kept(database)

    opening = asyncio.create_task(use())
    await asyncio.sleep(0.5)
    assert not opening.done()
    mortal_postgres.start()
    await asyncio.wait_for(opening, 5)


# -- cursors -----------------------------------------------------------------------------------------------------------

POSITION = st.tuples(st.integers(-(2**63), 2**63 - 1), st.text(st.characters(exclude_categories=["Cs"])))


@given(POSITION)
def test_a_cursor_is_read_as_it_was_written(position: tuple[int, str]) -> None:
    cursor = encode_cursor(*position)
    assert decode_cursor(cursor, tuple[int, str]) == position
    assert cursor.isascii() and all(c.isalnum() or c in "-_" for c in cursor), "fit for an address"


def test_no_cursor_is_the_first_page() -> None:
    assert decode_cursor("", tuple[int]) is None


@given(st.text())
def test_garbage_is_no_cursor(text: str) -> None:
    if text:
        with pytest.raises(CursorInvalid):
            decode_cursor(text, tuple[int, str, float])


@pytest.mark.parametrize("position", [(), ("1",), (1, 2), (1.5,), ([1],), (None,)])
def test_a_cursor_of_another_kind_of_list_is_refused(position: Any) -> None:
    with pytest.raises(CursorInvalid) as refused:
        decode_cursor(encode_cursor(*position), tuple[int])
    assert refused.value.status is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_callback_runs_after_the_commit_in_order(database: Database) -> None:
    seen: list[str] = []
    async with database.transaction() as connection:
        after_commit(connection, lambda: seen.append("first"))
        await connection.execute(INSERT, {"event": "a"})
        after_commit(connection, lambda: seen.append("second"))
        assert seen == []
    assert seen == ["first", "second"]


async def test_a_callback_never_runs_after_a_rollback_or_a_commit_that_fails(database: Database) -> None:
    seen: list[str] = []
    with pytest.raises(ValueError, match="no"):
        async with database.transaction() as connection:
            after_commit(connection, lambda: seen.append("rolled back"))
            raise ValueError("no")
    async with database.transaction() as connection:  # a deferred constraint fails at the commit
        await connection.execute(text("CREATE TABLE later (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)"))
    try:
        with pytest.raises(IntegrityError):
            async with database.transaction() as connection:
                after_commit(connection, lambda: seen.append("not committed"))
                await connection.execute(text("INSERT INTO later VALUES (1), (1)"))
    finally:
        async with database.transaction() as connection:
            await connection.execute(text("DROP TABLE later"))
    assert seen == []


async def test_a_callback_that_fails_is_logged_and_the_others_run(database: Database) -> None:
    seen: list[str] = []
    with capture_logs() as lines:
        async with database.transaction() as connection:
            after_commit(connection, lambda: 1 // 0)
            after_commit(connection, lambda: seen.append("next"))
    assert seen == ["next"]
    assert [line["event"] for line in lines] == ["after-commit callback failed"]


async def test_a_callback_needs_a_transaction_of_the_database(database: Database) -> None:
    async with database.transaction():
        pass
    async with database.reading() as connection:
        with pytest.raises(LookupError):
            after_commit(connection, lambda: None)
