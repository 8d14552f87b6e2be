"""Users apart: a block is between them, in either direction. Nothing of one is shown to the other."""

from collections.abc import Sequence

from sqlalchemy import text

from services.kit.sql.connection import AsyncConnection

# Members of conversation `mine.conversation_id` who are apart from `mine.user_id`; NULL if there are none.
IN_CONVERSATION = """(SELECT array_agg(theirs.user_id) FROM block
 JOIN conversation_member AS theirs ON theirs.conversation_id = mine.conversation_id
  AND theirs.user_id = CASE WHEN block.user_id = mine.user_id THEN block.blocked_id ELSE block.user_id END
 WHERE blocked AND (block.user_id = mine.user_id OR block.blocked_id = mine.user_id))"""
# Whether a member's positions are shown to :viewer: not before a request is answered, and not across a block.
SHOWN = """({member}.user_id = :viewer OR {member}.request NOT IN (1, 2) AND NOT EXISTS (SELECT FROM block WHERE blocked
 AND (block.user_id, block.blocked_id) IN ((:viewer, {member}.user_id), ({member}.user_id, :viewer))))"""
APART = text("""SELECT user_id, blocked_id FROM block
 WHERE blocked AND (user_id = ANY(CAST(:ids AS bigint[])) OR blocked_id = ANY(CAST(:ids AS bigint[])))""")


def positions(member: str) -> str:
    """SQL of a member's columns, with positions that are hidden from :viewer as 0."""
    shown = SHOWN.format(member=member)
    seqs = (f"CASE WHEN {shown} THEN {member}.{name} ELSE 0 END AS {name}" for name in ("read_seq", "delivered_seq"))
    return f"{member}.conversation_id, {member}.user_id, {member}.rev, {member}.left_at, " + ", ".join(seqs)


async def apart_from(connection: AsyncConnection, user_ids: Sequence[int]) -> dict[int, set[int]]:
    """The users apart from each of these; those without any are left out."""
    found: dict[int, set[int]] = {}
    for user_id, blocked_id in await connection.execute(APART, {"ids": list(user_ids)}):
        found.setdefault(user_id, set()).add(blocked_id)
        found.setdefault(blocked_id, set()).add(user_id)
    return {id: found[id] for id in user_ids if id in found}
