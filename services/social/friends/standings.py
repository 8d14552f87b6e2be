"""All relations between users, in pages: for a service that keeps a copy and has to rebuild it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, false, func, not_, select, text, true, union_all

from services.kit import pages
from services.kit.cursor import decode_cursor, encode_cursor
from services.kit.ids import Id
from services.kit.sql.connection import AsyncConnection
from services.social.follows.models import Follow
from services.social.models import Block, Friendship
from services.social.queries import probe

FACTS = ("friend", "blocks", "follows")
# Every event written after this was read has a higher number.
LAST_EVENT = text("SELECT last_value FROM pg_sequences WHERE sequencename = 'outbox_id_seq'")


async def list_standings(connection: AsyncConnection, cursor: str, limit: int) -> pages.Page:
    """One row per user and peer who are friends, or whom the user blocked, or follows or asks to, ordered by both ids.

    Raises CursorInvalid.
    """
    position = decode_cursor(cursor, tuple[Id, Id]) or (0, 0)
    limit = pages.clamp(limit, pages.MAX_LIMIT)
    parts = union_all(
        _part(Friendship.user_id, Friendship.friend_id, position, limit, friend=true()),
        _part(Block.user_id, Block.blocked_id, position, limit, blocks=true()),
        _part(Follow.user_id, Follow.followed_id, position, limit, follows=not_(Follow.pending)),
    ).subquery()
    facts = (func.bool_or(parts.c[name]).label(name) for name in FACTS)
    agreed = probe(Friendship.agreed, Friendship.user_id == parts.c.peer_id, Friendship.friend_id == parts.c.user_id)
    query = select(parts.c.user_id, parts.c.peer_id, *facts, agreed.label("peer_agreed"))
    query = query.group_by(parts.c.user_id, parts.c.peer_id)
    rows = (await connection.execute(query.order_by(parts.c.user_id, parts.c.peer_id).limit(limit + 1))).all()
    page: Sequence[Any] = rows[:limit]
    return page, encode_cursor(page[-1].user_id, page[-1].peer_id) if len(rows) > limit else ""


def _part(user: Any, peer: Any, position: tuple[int, int], limit: int, **facts: Any) -> Select[Any]:
    """`facts`: what a row of this table says; it says nothing of the others."""
    columns = (facts.get(name, false()).label(name) for name in FACTS)
    query: Select[Any] = select(user.label("user_id"), peer.label("peer_id"), *columns)
    return select(query.where(pages.after((user, peer), position)).order_by(user, peer).limit(limit + 1).subquery())


async def last_event(connection: AsyncConnection) -> int:
    """The highest number given to an event; 0 if there was none."""
    return (await connection.execute(LAST_EVENT)).scalar_one() or 0
