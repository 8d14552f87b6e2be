"""Users apart: a block is between them, in either direction. Nothing new of one is shown to the other."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, case, func, text
from sqlalchemy.dialects.postgresql import insert

from services.chat.models import Block
from services.kit.sql.connection import AsyncConnection

# Members of conversation `mine.conversation_id` who are apart from `mine.user_id`; NULL if there are none.
IN_CONVERSATION = """(SELECT array_agg(theirs.user_id) FROM block
 JOIN conversation_member AS theirs ON theirs.conversation_id = mine.conversation_id
  AND theirs.user_id = CASE WHEN block.user_id = mine.user_id THEN block.blocked_id ELSE block.user_id END
 WHERE blocked AND (block.user_id = mine.user_id OR block.blocked_id = mine.user_id))"""
# How far both users have read and received, in each conversation that they share.
POSITIONS = text("""SELECT coalesce(jsonb_object_agg(conversation_id || ':' || user_id,
  jsonb_build_object('read_seq', read_seq, 'delivered_seq', delivered_seq)), '{}')
 FROM conversation_member AS member WHERE user_id = ANY(CAST(:pair AS bigint[])) AND request NOT IN (1, 2)
 AND EXISTS (SELECT FROM conversation_member AS other WHERE other.conversation_id = member.conversation_id
  AND other.user_id = ANY(CAST(:pair AS bigint[])) AND other.user_id <> member.user_id)""")
# A position of a member as :viewer may see it: none before a request is answered, and after a block the one from before
# it, like that of a user who does not come back. A position that went back to 0 would tell of the block.
SHOWN = """CASE WHEN {member}.user_id = :viewer THEN {member}.{name} WHEN {member}.request IN (1, 2) THEN 0
 ELSE least({member}.{name}, (SELECT min(coalesce(CAST(
   positions -> ({member}.conversation_id || ':' || {member}.user_id) ->> '{name}' AS bigint), 0))
  FROM block WHERE blocked
  AND (block.user_id, block.blocked_id) IN ((:viewer, {member}.user_id), ({member}.user_id, :viewer)))) END AS {name}"""
APART = text("""SELECT user_id, blocked_id FROM block
 WHERE blocked AND (user_id = ANY(CAST(:ids AS bigint[])) OR blocked_id = ANY(CAST(:ids AS bigint[])))""")


def positions(member: str) -> str:
    """SQL of a member's columns, with the positions that :viewer may see."""
    seqs = (SHOWN.format(member=member, name=name) for name in ("read_seq", "delivered_seq"))
    return f"{member}.conversation_id, {member}.user_id, {member}.rev, {member}.left_at, " + ", ".join(seqs)


async def store_block(
    connection: AsyncConnection, user_id: int, blocked_id: int, event_id: int, condition: ColumnElement[bool]
) -> None:
    """Stores that a block begins, with the positions of that moment, or that it goes on. `condition`: of a row that
    exists, to be changed."""
    positions = (await connection.execute(POSITIONS, {"pair": [user_id, blocked_id]})).scalar_one()
    values = {"event_id": event_id, "blocked": True, "positions": positions}
    row = insert(Block).values(user_id=user_id, blocked_id=blocked_id, **values)
    values = {
        "event_id": func.greatest(Block.event_id, event_id),
        "blocked": True,
        "positions": case((Block.blocked, Block.positions), else_=row.excluded.positions),
    }
    key = ["user_id", "blocked_id"]
    await connection.execute(row.on_conflict_do_update(index_elements=key, set_=values, where=condition))


async def apart_from(connection: AsyncConnection, user_ids: Sequence[int]) -> dict[int, set[int]]:
    """The users apart from each of these; those without any are left out."""
    found: dict[int, set[int]] = {}
    for user_id, blocked_id in await connection.execute(APART, {"ids": list(user_ids)}):
        found.setdefault(user_id, set()).add(blocked_id)
        found.setdefault(blocked_id, set()).add(user_id)
    return {id: found[id] for id in user_ids if id in found}
