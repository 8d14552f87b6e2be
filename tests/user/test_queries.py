"""The queries of every request find their rows by an index."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from sqlalchemy import text

from protos.user.v1 import accounts_pb2 as pb
from protos.user.v1 import users_pb2 as users_pb
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Bound, bind
from services.user.sessions import MAX_LIVE
from tests.support.plans import plan_of, watching
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


@contextmanager
def statements(user: Running) -> Iterator[list[Bound]]:
    """The SELECTs, UPDATEs and DELETEs the service runs while the block does."""
    ours: list[Bound] = []
    with watching(user.service.database) as seen:
        yield ours
    ours += [
        one
        for one in seen
        if one.shape.text.startswith(("SELECT", "UPDATE", "DELETE")) and "FROM outbox" not in one.shape.text
    ]


@asynccontextmanager
async def explaining(user: Running) -> AsyncIterator[AsyncConnection]:
    """A planner that scans or sorts only where there is no other way, however small the tables."""
    async with user.service.database.transaction() as connection:
        for way in ("seqscan", "bitmapscan", "sort"):
            await connection.execute(text(f"SET LOCAL enable_{way} = off"))
        yield connection


async def assert_indexed(user: Running, seen: list[Bound]) -> None:
    ours = [one for one in seen if "account" in one.shape.text or "session" in one.shape.text]
    assert ours
    async with explaining(user) as connection:
        for statement in ours:
            shown, sql = await plan_of(connection, statement), statement.shape.text
            assert "Seq Scan" not in shown, f"{sql}\n{shown}"
            if f"LIMIT {MAX_LIVE}" not in sql:
                assert "Sort " not in shown, f"{sql}\n{shown}"


async def test_the_planner_of_these_tests_does_scan_where_there_is_no_index(user: Running) -> None:
    async with explaining(user) as connection:
        assert "Seq Scan" in await plan_of(connection, bind(text("SELECT id FROM account WHERE bio = 'x'")))


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
