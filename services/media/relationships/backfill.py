"""The copy of who stands how to whom, read anew from the social service: for a media service that was added to an old
installation, or whose database is older than the events that the stream still holds.
"""

import asyncio
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from protos.social.v1.friends_pb2 import ListStandingsRequest
from protos.social.v1.friends_pb2_grpc import FriendsStub
from services.kit.db import Database
from services.kit.ids import MAX_ID

PAGE = 500
SETTLE = 10.0  # seconds: longer than a write of the social service may take that has drawn its event's number
CALL_SECONDS = 10.0

# What is newer than `as_of` was told by an event, and stays. A row's side of a block is told on its mirror, too.
STATED = text("""
    INSERT INTO standing AS s (user_id, peer_id, friend, blocks, friend_event, blocks_event)
    SELECT u, p, f, b, :as_of, :as_of FROM unnest(CAST(:users AS bigint[]), CAST(:peers AS bigint[]),
        CAST(:friends AS boolean[]), CAST(:blocks AS boolean[])) AS told (u, p, f, b) ORDER BY u, p
    ON CONFLICT (user_id, peer_id) DO UPDATE SET
        friend = CASE WHEN s.friend_event < :as_of THEN excluded.friend ELSE s.friend END,
        blocks = CASE WHEN s.blocks_event < :as_of THEN excluded.blocks ELSE s.blocks END,
        friend_event = greatest(s.friend_event, :as_of), blocks_event = greatest(s.blocks_event, :as_of)""")
MIRRORED = text("""
    INSERT INTO standing AS s (user_id, peer_id, blocked, blocked_event)
    SELECT p, u, true, :as_of FROM unnest(CAST(:users AS bigint[]), CAST(:peers AS bigint[]),
        CAST(:blocks AS boolean[])) AS told (u, p, b) WHERE b ORDER BY p, u
    ON CONFLICT (user_id, peer_id) DO UPDATE SET blocked = true, blocked_event = :as_of
    WHERE s.blocked_event < :as_of""")
# Of the stretch of pairs that a page covers: what we hold and were not told again.
ENDED = text("""
    UPDATE standing s SET
        friend = s.friend AND s.friend_event >= :as_of, friend_event = greatest(s.friend_event, :as_of),
        blocks = s.blocks AND s.blocks_event >= :as_of, blocks_event = greatest(s.blocks_event, :as_of)
    WHERE (user_id, peer_id) > (:from_user, :from_peer) AND (user_id, peer_id) <= (:to_user, :to_peer)
    AND (friend OR blocks) AND NOT EXISTS (SELECT FROM
        unnest(CAST(:users AS bigint[]), CAST(:peers AS bigint[])) AS told (u, p) WHERE u = user_id AND p = peer_id)""")
UNMIRRORED = text("""
    UPDATE standing s SET blocked = false, blocked_event = :as_of
    WHERE (peer_id, user_id) > (:from_user, :from_peer) AND (peer_id, user_id) <= (:to_user, :to_peer)
    AND blocked AND blocked_event < :as_of AND NOT EXISTS (SELECT FROM unnest(CAST(:users AS bigint[]),
        CAST(:peers AS bigint[]), CAST(:blocks AS boolean[])) AS told (u, p, b) WHERE u = peer_id AND p = user_id AND b)
    """)


async def copy_standings(database: Database, social: FriendsStub, settle: float = SETTLE) -> int:
    """How many pairs there are. The service may go on meanwhile; a page is a transaction. Raises AioRpcError."""
    as_of = (await social.ListStandings(ListStandingsRequest(limit=1), timeout=CALL_SECONDS)).as_of
    await asyncio.sleep(settle)
    cursor, begins, count = "", (0, 0), 0
    while True:
        request = ListStandingsRequest(cursor=cursor, limit=PAGE)
        page = await social.ListStandings(request, timeout=CALL_SECONDS)
        last = page.standings[-1] if page.next_cursor else None
        ends = (last.user_id, last.peer_id) if last else (MAX_ID, MAX_ID)
        async with database.transaction() as connection:
            await _write(connection, page.standings, as_of, begins, ends)
        count += len(page.standings)
        if not page.next_cursor:
            return count
        cursor, begins = page.next_cursor, ends


async def _write(
    connection: AsyncConnection, standings: Any, as_of: int, begins: tuple[int, int], ends: tuple[int, int]
) -> None:
    values = {
        "as_of": as_of,
        "users": [each.user_id for each in standings],
        "peers": [each.peer_id for each in standings],
        "friends": [each.friend for each in standings],
        "blocks": [each.blocks for each in standings],
    }
    values |= dict(zip(("from_user", "from_peer", "to_user", "to_peer"), (*begins, *ends), strict=True))
    for statement in (STATED, MIRRORED, ENDED, UNMIRRORED):
        await connection.execute(statement, values)
