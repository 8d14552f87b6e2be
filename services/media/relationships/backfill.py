"""Reads all friendships, follows and blocks from the social service.

For a media service that was added to an old installation, or whose database is older than the events that the stream
still holds.
"""

import asyncio
from typing import Any

from sqlalchemy import text

from protos.social.v1.friends_pb2 import ListStandingsRequest
from protos.social.v1.friends_pb2_grpc import FriendsStub
from services.kit.db import Database
from services.kit.ids import MAX_ID
from services.kit.sql.connection import AsyncConnection

PAGE = 500
SETTLE_SECONDS = 10.0  # longer than a transaction of the social service that has its event's id already
CALL_SECONDS = 10.0

# A column whose event is newer than `as_of` stays as it is. A block is written to the row of each side.
UPSERT = text("""
    INSERT INTO standing AS s (user_id, peer_id, friend, blocks, follows, friend_event, blocks_event, follows_event)
    SELECT u, p, f, b, w, :as_of, :as_of, :as_of FROM unnest(CAST(:users AS bigint[]), CAST(:peers AS bigint[]),
        CAST(:friends AS boolean[]), CAST(:blocks AS boolean[]), CAST(:follows AS boolean[]))
        AS listed (u, p, f, b, w) ORDER BY u, p
    ON CONFLICT (user_id, peer_id) DO UPDATE SET
        friend = CASE WHEN s.friend_event < :as_of THEN excluded.friend ELSE s.friend END,
        blocks = CASE WHEN s.blocks_event < :as_of THEN excluded.blocks ELSE s.blocks END,
        follows = CASE WHEN s.follows_event < :as_of THEN excluded.follows ELSE s.follows END,
        friend_event = greatest(s.friend_event, :as_of), blocks_event = greatest(s.blocks_event, :as_of),
        follows_event = greatest(s.follows_event, :as_of)""")
UPSERT_BLOCKED = text("""
    INSERT INTO standing AS s (user_id, peer_id, blocked, blocked_event)
    SELECT p, u, true, :as_of FROM unnest(CAST(:users AS bigint[]), CAST(:peers AS bigint[]),
        CAST(:blocks AS boolean[])) AS listed (u, p, b) WHERE b ORDER BY p, u
    ON CONFLICT (user_id, peer_id) DO UPDATE SET blocked = true, blocked_event = :as_of
    WHERE s.blocked_event < :as_of""")
# Rows in the range of pairs that a page covers, which the page does not name any more.
CLEAR = text("""
    UPDATE standing s SET
        friend = s.friend AND s.friend_event >= :as_of, friend_event = greatest(s.friend_event, :as_of),
        blocks = s.blocks AND s.blocks_event >= :as_of, blocks_event = greatest(s.blocks_event, :as_of),
        follows = s.follows AND s.follows_event >= :as_of, follows_event = greatest(s.follows_event, :as_of)
    WHERE (user_id, peer_id) > (:from_user, :from_peer) AND (user_id, peer_id) <= (:to_user, :to_peer)
    AND (friend OR blocks OR follows) AND NOT EXISTS (SELECT FROM
        unnest(CAST(:users AS bigint[]), CAST(:peers AS bigint[])) AS listed (u, p)
        WHERE u = user_id AND p = peer_id)""")
CLEAR_BLOCKED = text("""
    UPDATE standing s SET blocked = false, blocked_event = :as_of
    WHERE (peer_id, user_id) > (:from_user, :from_peer) AND (peer_id, user_id) <= (:to_user, :to_peer)
    AND blocked AND blocked_event < :as_of AND NOT EXISTS (SELECT FROM unnest(CAST(:users AS bigint[]),
        CAST(:peers AS bigint[]), CAST(:blocks AS boolean[])) AS listed (u, p, b)
        WHERE u = peer_id AND p = user_id AND b)
    """)


async def copy_standings(database: Database, social: FriendsStub, settle: float = SETTLE_SECONDS) -> int:
    """Returns the number of pairs. Safe while the service runs; one transaction per page. Raises AioRpcError."""
    as_of = (await social.ListStandings(ListStandingsRequest(limit=1), timeout=CALL_SECONDS)).as_of
    await asyncio.sleep(settle)
    cursor, after, count = "", (0, 0), 0
    while True:
        request = ListStandingsRequest(cursor=cursor, limit=PAGE)
        page = await social.ListStandings(request, timeout=CALL_SECONDS)
        last = page.standings[-1] if page.next_cursor else None
        until = (last.user_id, last.peer_id) if last else (MAX_ID, MAX_ID)
        async with database.transaction() as connection:
            await _write(connection, page.standings, as_of, after, until)
        count += len(page.standings)
        if not page.next_cursor:
            return count
        cursor, after = page.next_cursor, until


async def _write(
    connection: AsyncConnection, standings: Any, as_of: int, after: tuple[int, int], until: tuple[int, int]
) -> None:
    values = {
        "as_of": as_of,
        "users": [each.user_id for each in standings],
        "peers": [each.peer_id for each in standings],
        "friends": [each.peer_agreed for each in standings],
        "blocks": [each.blocks for each in standings],
        "follows": [each.follows for each in standings],
    }
    values |= dict(zip(("from_user", "from_peer", "to_user", "to_peer"), (*after, *until), strict=True))
    for statement in (UPSERT, UPSERT_BLOCKED, CLEAR, CLEAR_BLOCKED):
        await connection.execute(statement, values)
