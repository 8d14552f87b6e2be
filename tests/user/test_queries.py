"""The queries of every request find their rows by an index."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection

from protos.user.v1 import accounts_pb2 as pb
from protos.user.v1 import users_pb2 as users_pb
from services.user.sessions import MAX_LIVE
from tests.support.user import (
    Running,
    acting,
    caller_of,
    email_account,
    email_login,
    new_name,
    new_phone,
    phone_account,
    phone_login,
)

Statement = tuple[str, Any]


@contextmanager
def statements(user: Running) -> Iterator[list[Statement]]:
    """The SELECTs, UPDATEs and DELETEs the service runs while the block does."""
    engine = user.service.database.engine.sync_engine
    seen: list[Statement] = []

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")) and "FROM outbox" not in statement:
            seen.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


@asynccontextmanager
async def explaining(user: Running) -> AsyncIterator[AsyncConnection]:
    """A planner that scans or sorts only where there is no other way, however small the tables."""
    async with user.service.database.engine.connect() as connection:
        for way in ("seqscan", "bitmapscan", "sort"):
            await connection.execute(text(f"SET LOCAL enable_{way} = off"))
        yield connection
        await connection.rollback()


async def plan(connection: AsyncConnection, statement: str, parameters: Any) -> str:
    rows = await connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
    return "\n".join(row[0] for row in rows)


async def assert_indexed(user: Running, seen: list[Statement]) -> None:
    ours = [one for one in seen if "account" in one[0] or "session" in one[0]]
    assert ours
    async with explaining(user) as connection:
        for statement, parameters in ours:
            shown = await plan(connection, statement, parameters)
            assert "Seq Scan" not in shown, f"{statement}\n{shown}"
            if f"LIMIT {MAX_LIVE}" not in statement:
                assert "Sort " not in shown, f"{statement}\n{shown}"


async def test_the_planner_of_these_tests_does_scan_where_there_is_no_index(user: Running) -> None:
    async with explaining(user) as connection:
        assert "Seq Scan" in await plan(connection, "SELECT id FROM account WHERE bio = 'x'", ())


@pytest.mark.parametrize("what", ["check", "list", "list on", "by id", "by username", "profiles", "refresh"])
async def test_reading_is_by_index(user: Running, what: str) -> None:
    name = new_name()
    made = await email_account(user, name)
    issued = await email_login(user, name)
    caller = caller_of(user, issued)
    await email_login(user, name)
    with acting(caller):
        cursor = (await user.sessions.ListSessions(pb.ListSessionsRequest(limit=1))).next_cursor
        with statements(user) as seen:
            match what:
                case "check":
                    await user.sessions.CheckSessions(pb.CheckSessionsRequest(session_ids=[caller.session_id, 1]))
                case "list":
                    await user.sessions.ListSessions(pb.ListSessionsRequest(limit=20))
                case "list on":
                    await user.sessions.ListSessions(pb.ListSessionsRequest(limit=20, cursor=cursor))
                case "by id":
                    await user.users.BatchGetUsers(users_pb.BatchGetUsersRequest(user_ids=[made.user_id, 1]))
                case "by username":
                    request = users_pb.BatchGetUsersByUsernameRequest(usernames=[name, "x"])
                    await user.users.BatchGetUsersByUsername(request)
                case "profiles":
                    lookups = [users_pb.ProfileLookup(user_id=made.user_id, viewer_id=1)]
                    await user.users.BatchGetProfiles(users_pb.BatchGetProfilesRequest(lookups=lookups))
                case "refresh":
                    await user.accounts.RefreshToken(pb.RefreshTokenRequest(rtoken=issued.rtoken))
    await assert_indexed(user, seen)


async def test_logging_in_and_out_is_by_index(user: Running) -> None:
    name, phone = new_name(), new_phone()
    await email_account(user, name)
    made = await phone_account(user, phone)
    with statements(user) as seen:
        await email_login(user, name)
        await phone_login(user, phone)
        with acting(caller_of(user, made)):
            await user.accounts.Logout(pb.LogoutRequest())
    await assert_indexed(user, seen)
