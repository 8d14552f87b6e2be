"""Reactions go with the message that they were made to, and with the account of the user who made them."""

from collections.abc import Sequence
from typing import Any

from services.chat.messages import MessageKey
from services.chat.parameters import int_array, json_rows
from services.chat.push import frames
from services.chat.push.frames import Push
from services.chat.reactions.tally import Tally
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement

GONE = """DELETE FROM {table} USING unnest(CAST(:conversations AS bigint[]), CAST(:seqs AS bigint[])) AS gone(id, seq)
 WHERE conversation_id = gone.id AND {table}.seq = gone.seq"""
REMOVE: Statement[Any] = Statement(
    f"WITH rows AS ({GONE.format(table='reaction')}) {GONE.format(table='reaction_summary')}"
)
TAKE_BACK: Statement[Any] = Statement("""DELETE FROM reaction WHERE (conversation_id, seq, user_id, emoji) IN (
  SELECT conversation_id, seq, user_id, emoji FROM reaction
  WHERE user_id = :user_id AND conversation_id = :id ORDER BY seq LIMIT :most) RETURNING seq, emoji""")
SUMMARIES: Statement[Any] = Statement("""SELECT seq, rev, counts FROM reaction_summary
 WHERE conversation_id = :id AND seq = ANY(CAST(:seqs AS bigint[])) ORDER BY seq""")
COUNT: Statement[Any] = Statement("""WITH raised AS (
  UPDATE conversation SET rev = rev + :count WHERE id = :id RETURNING rev - :count AS rev)
 UPDATE reaction_summary AS summary SET counts = t.counts, rev = raised.rev + t.place
 FROM raised, ROWS FROM (jsonb_to_recordset(CAST(:rows AS jsonb)) AS (seq bigint, counts jsonb))
  WITH ORDINALITY AS t(seq, counts, place)
 WHERE conversation_id = :id AND summary.seq = t.seq RETURNING summary.seq, summary.rev""")


async def remove_of(connection: AsyncConnection, keys: Sequence[MessageKey]) -> None:
    """Deletes all reactions to recalled messages of locked conversations. Clients learn it by the recall."""
    conversations, seqs = [key.conversation_id for key in keys], [key.seq for key in keys]
    await connection.fetch(REMOVE, conversations=int_array(conversations), seqs=int_array(seqs))


async def take_back(connection: AsyncConnection, conversation_id: int, user_id: int, most: int) -> list[Push]:
    """Deletes at most `most` reactions of a user in a locked conversation, each message with a rev of its own; returns
    what to push, a frame for each message."""
    taken = await connection.fetch(TAKE_BACK, id=conversation_id, user_id=user_id, most=most)
    if not taken:
        return []
    seqs = int_array(sorted({row.seq for row in taken}))
    tallies = {
        row.seq: Tally(MessageKey(conversation_id, row.seq), row.rev, row.counts)
        for row in await connection.fetch(SUMMARIES, id=conversation_id, seqs=seqs)
    }
    for tally in tallies.values():
        tally.held[user_id] = {row.emoji for row in taken if row.seq == tally.key.seq}
        for emoji in sorted(tally.held[user_id]):
            tally.set(user_id, emoji, False)
    rows = json_rows([{"seq": seq, "counts": tally.rows()} for seq, tally in tallies.items()])
    for row in await connection.fetch(COUNT, id=conversation_id, count=len(tallies), rows=rows):
        tallies[row.seq].rev = row.rev
    return [frames.reactions_changed(tally) for tally in tallies.values()]
