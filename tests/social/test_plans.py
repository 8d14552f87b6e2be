"""No list or check reads a whole table, and the largest account can be deleted in time: on full tables."""

import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from protos.social.v1 import friends_pb2 as f
from protos.social.v1 import groups_pb2 as g
from services.kit.sql.statements import Bound
from services.social.consumer import forget_user
from tests.support.plans import plan_of, watching
from tests.support.servers import Servers
from tests.support.social import (
    Running,
    act,
    add,
    applications,
    ask,
    block,
    decide,
    faults,
    handle,
    invite,
    join,
    leave,
    remove,
    requests_of,
    running_social_service,
    set_role,
    social_settings,
    transfer,
    unblock,
    unfriend,
)

HUB = 1  # has 5,000 friends and 5,000 requests each way; owns group 1 with its 10,000 members, and 499 others
FILL = """
INSERT INTO friendship (user_id, friend_id, source)
  SELECT 1, n, 0 FROM generate_series(2, 5001) n UNION ALL SELECT n, 1, 0 FROM generate_series(2, 5001) n
  UNION ALL SELECT n + d, n + 1 - d, 0 FROM generate_series(10000, 29998, 2) n, (VALUES (0), (1)) AS v(d);
INSERT INTO friend_request (from_id, to_id, message, requested_at, result)
  SELECT 1, n, '', now(), n % 3 FROM generate_series(6000, 10999) n
  UNION ALL SELECT n, 1, '', now(), n % 3 FROM generate_series(11000, 15999) n
  UNION ALL SELECT n, n + 1, '', now(), n % 3 FROM generate_series(20000, 29999) n;
INSERT INTO block (user_id, blocked_id)
  SELECT 1, n FROM generate_series(30000, 34999) n UNION ALL SELECT n, n + 1 FROM generate_series(40000, 49999) n;
INSERT INTO "group" (name, name_key, owner_id, approval, member_count)
  SELECT 'group ' || n, 'group ' || n, CASE WHEN n <= 500 THEN 1 ELSE n END, n <= 5000,
         CASE WHEN n = 1 THEN 10000 ELSE 1 END FROM generate_series(1, 10000) n;
INSERT INTO member (group_id, user_id, role)
  SELECT 1, n, CASE WHEN n = 1 THEN 2 WHEN n < 50 THEN 1 ELSE 0 END FROM generate_series(1, 10000) n
  UNION ALL SELECT n, CASE WHEN n <= 500 THEN 1 ELSE n END, 2 FROM generate_series(2, 10000) n;
INSERT INTO join_request (group_id, user_id, message, requested_at, result)
  SELECT 1, n, '', now(), n % 3 FROM generate_series(11000, 20999) n
  UNION ALL SELECT n, 50, '', now(), n % 3 FROM generate_series(2, 5000) n;
INSERT INTO invitation (group_id, user_id, inviter_id) SELECT 1, n, 1 FROM generate_series(11000, 20999) n;
"""
TABLES = ("friendship", "friend_request", "block", "group", "member", "join_request", "invitation")


@pytest.fixture(scope="module")
async def full(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    url, folder = servers.create_database("full"), tmp_path_factory.mktemp("full")
    async with running_social_service(social_settings(url, servers, folder)) as running:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(FILL)
            connection.execute("VACUUM ANALYZE")
        assert not await faults(running)
        yield running


@contextmanager
def recording(social: Running) -> Iterator[list[Bound]]:
    """Each statement the service runs, with its parameters."""
    with watching(social.service.database) as seen:
        yield seen


async def seq_scans(social: Running, seen: list[Bound]) -> list[str]:
    """The statements that read a whole table, by their plans."""
    found = []
    async with social.service.database.reading() as connection:
        for statement in seen:
            text = await plan_of(connection, statement)
            if re.search(rf'Seq Scan on "?({"|".join(TABLES)})\b', text):
                found.append(f"{statement.shape.text}\n{text}")
    return found


async def read_everything(social: Running, user: int, group: int) -> None:
    """Each list and check, first pages and later ones."""
    calls: list[tuple[Any, Any]] = [
        (social.friends.ListFriends, f.ListFriendsRequest(limit=50)),
        (social.friends.ListFriends, f.ListFriendsRequest(limit=50, offset=4_000)),
        (social.friends.ListFriendIds, f.ListFriendIdsRequest()),
        (social.friends.ListFriendRequests, f.ListFriendRequestsRequest(limit=50)),
        (
            social.friends.ListFriendRequests,
            f.ListFriendRequestsRequest(limit=50, direction=f.TO_ME, results=[f.PENDING]),
        ),
        (social.friends.ListBlocks, f.ListBlocksRequest(limit=50)),
        (social.friends.BatchGetRelations, f.BatchGetRelationsRequest(user_ids=range(4_900, 5_000))),
        (social.friends.BatchCheckFriends, f.BatchCheckFriendsRequest(pairs=pairs_of(user, 100))),
        (social.groups.BatchGetGroups, g.BatchGetGroupsRequest(group_ids=range(1, 100))),
        (social.groups.ListGroups, g.ListGroupsRequest(limit=50)),
        (social.groups.ListGroups, g.ListGroupsRequest(limit=50, offset=400)),
        (social.groups.SearchGroups, g.SearchGroupsRequest(prefix="group 7", limit=50)),
        (social.groups.ListMembers, g.ListMembersRequest(group_id=group, limit=50)),
        (social.groups.ListMembers, g.ListMembersRequest(group_id=group, limit=50, offset=9_000)),
        (social.groups.ListMemberIds, g.ListMemberIdsRequest(group_id=group)),
        (social.groups.ListJoinRequests, g.ListJoinRequestsRequest(limit=50)),
        (social.groups.ListJoinRequests, g.ListJoinRequestsRequest(group_id=group, limit=50)),
        (
            social.groups.BatchCheckMembers,
            g.BatchCheckMembersRequest(pairs=[g.GroupUser(group_id=group, user_id=n) for n in range(100)]),
        ),
    ]
    for call, request in calls:
        answer = await act(user, call, request)
        if cursor := getattr(answer, "next_cursor", ""):
            request.cursor = cursor
            await act(user, call, request)


def pairs_of(user: int, count: int) -> list[f.UserPair]:
    return [f.UserPair(user_id=user, peer_id=4_950 + n) for n in range(count)]


async def test_lists_and_checks_read_no_whole_table(full: Running) -> None:
    with recording(full) as seen:
        await read_everything(full, HUB, group=1)
    assert len(seen) >= 30
    assert await seq_scans(full, seen) == []


async def test_writes_read_no_whole_table(full: Running) -> None:
    """By the user with the most rows, and in that user's group."""
    with recording(full) as seen:
        await ask(full, 60_000, HUB)
        await add(full, 60_001, 60_000)
        await unfriend(full, HUB, 2)
        await block(full, HUB, 3)
        await unblock(full, HUB, 3)
        (request, *_) = await requests_of(full, HUB, f.TO_ME, f.PENDING)
        await handle(full, HUB, request.request_id, f.ACCEPTED)
        await leave(full, 9_999, 1)
        await remove(full, HUB, 1, 9_998)
        await set_role(full, HUB, 1, 9_997, 1)
        await transfer(full, HUB, 2, HUB)
        await invite(full, HUB, 1, 60_002)
        await join(full, 60_002, 1)
        await leave(full, 60_002, 1)
        await join(full, 60_003, 1)
        (application, *_) = await applications(full, HUB, 1, 0)
        await decide(full, HUB, 1, application.request_id, f.REFUSED)
        await join(full, 60_004, 6_000)
    assert len(seen) >= 60
    assert await seq_scans(full, seen) == []
    assert not await faults(full)


async def test_the_largest_account_is_deleted_in_time(full: Running) -> None:
    """Far within the 30 s after which the event would come again."""
    started = time.perf_counter()
    async with full.service.database.transaction() as connection:
        await forget_user(connection, HUB)
    assert time.perf_counter() - started < 10
    assert not await faults(full)
