"""Takes messages from everybody's sight, and brings them back, as moderators decide (docs/moderation.md).

To clients a hidden message is as one that its sender recalled, and a restored one as one that was edited, so they need
to know nothing new. `hidden_message` keeps what was written meanwhile, and the id of the last event applied.
"""

from typing import Any

from sqlalchemy import text

from services.chat.messages import COLUMNS, MessageKey
from services.chat.push import frames
from services.chat.push.frames import Push
from services.chat.sending import recalls
from services.chat.sending.edits import BUMP, RECALL
from services.kit.nats import Event
from services.kit.sql.connection import AsyncConnection

SUBJECTS = [f"events.user.moderation.{verb}" for verb in ("hidden", "restored", "removed")]

LOCK = text("SELECT id FROM conversation WHERE id = :conversation_id FOR UPDATE")
FIND = text("""SELECT message.recalled_at, coalesce(kept.event_id, 0) AS event_id, kept.body IS NOT NULL AS is_kept
 FROM message LEFT JOIN hidden_message AS kept USING (conversation_id, seq)
 WHERE conversation_id = :conversation_id AND seq = :seq AND message.id = :message_id""")
STORE = """INSERT INTO hidden_message (conversation_id, seq, sender_id, event_id, body, size, words, mentions)
 SELECT conversation_id, seq, sender_id, :event_id, {what} FROM message
 WHERE conversation_id = :conversation_id AND seq = :seq
 ON CONFLICT (conversation_id, seq) DO UPDATE SET event_id = excluded.event_id"""
ANEW = ", body = excluded.body, size = excluded.size, words = excluded.words, mentions = excluded.mentions"
NOTHING = "NULL, 0, '', '{}'"
KEEP = text(STORE.format(what="body, size, words, mentions") + ANEW)
NOTE = text(STORE.format(what=NOTHING))  # leaves what is kept
EMPTY = text(STORE.format(what=NOTHING) + ANEW)
RESTORE = text(f"""UPDATE message SET rev = :rev, body = kept.body, size = kept.size, words = kept.words,
 mentions = kept.mentions, recalled_at = NULL FROM hidden_message AS kept
 WHERE kept.conversation_id = message.conversation_id AND kept.seq = message.seq
 AND message.conversation_id = :conversation_id AND message.seq = :seq RETURNING {COLUMNS}""")  # noqa: S608
FORGET = text("DELETE FROM hidden_message WHERE sender_id = :user_id")


async def apply_event(connection: AsyncConnection, event: Event) -> list[Push]:
    """Applies an event of one of SUBJECTS, and returns what to push; nothing if it is about another kind of thing."""
    if event.data["kind"] != "message":
        return []
    key = {name: int(event.data[name]) for name in ("conversation_id", "seq")}
    await connection.execute(LOCK, key)
    found = (await connection.execute(FIND, key | {"message_id": int(event.data["subject_id"])})).one_or_none()
    if found is None or event.id <= found.event_id:
        return []
    return await _moderate(connection, event.subject.rpartition(".")[2], key, found, event.id)


async def _moderate(
    connection: AsyncConnection, verb: str, key: dict[str, int], found: Any, event_id: int
) -> list[Push]:
    is_shown, pushes = found.recalled_at is None, []
    values = {**key, "event_id": event_id}
    if verb == "hidden" and is_shown:
        await connection.execute(KEEP, values)
        return [frames.message_recalled(await _change(connection, RECALL, key))]
    if verb == "restored" and found.is_kept and not is_shown:
        pushes.append(frames.message_updated(await _change(connection, RESTORE, key)))
    elif verb == "removed" and is_shown:
        pushes.append(frames.message_recalled(await _change(connection, RECALL, key)))
    await connection.execute(NOTE if verb == "hidden" else EMPTY, values)
    return pushes


async def forget_user(connection: AsyncConnection, user_id: int) -> None:
    """Deletes what was kept of a deleted account's messages, which erasure cannot see."""
    await connection.execute(FORGET, {"user_id": user_id})


async def _change(connection: AsyncConnection, statement: Any, key: dict[str, int]) -> Any:
    rev = (await connection.execute(BUMP, {"id": key["conversation_id"]})).scalar_one()
    if statement is RECALL:
        await recalls.forget(connection, [MessageKey(**key)])
    return (await connection.execute(statement, key | {"rev": rev})).one()
