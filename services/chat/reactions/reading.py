"""Reactions as a member reads them: of a page of history, since a rev, and by whom they are."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.chat.errors import MessageNotFound
from services.chat.membership import members
from services.chat.messages import MessageKey
from services.chat.reactions.emoji import parse_emoji
from services.kit.context import Caller
from services.kit.cursor import decode_cursor, encode_cursor
from services.kit.ids import Id
from services.kit.pages import clamp
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Bound, Statement

MAX_PAGE = 100
MINE = """coalesce((SELECT array_agg(emoji) FROM reaction WHERE conversation_id = summary.conversation_id
 AND reaction.seq = summary.seq AND user_id = :viewer), '{{}}') AS mine"""
COLUMNS = f"summary.conversation_id, summary.seq, summary.rev, summary.counts, {MINE}".replace("{{}}", "{}")
OF_PAGE: Statement[Any] = Statement(f"""SELECT {COLUMNS} FROM reaction_summary AS summary
 WHERE conversation_id = :id AND seq BETWEEN :first AND :last""")  # noqa: S608
REACTORS: Statement[Any] = Statement("""SELECT user_id, emoji, created_at FROM reaction
 WHERE conversation_id = :id AND seq = :seq AND (:emoji = '' OR emoji = :emoji)
 AND (user_id, emoji) > (:user_id, :after) ORDER BY user_id, emoji LIMIT :limit""")
EXISTS: Statement[Any] = Statement("""SELECT FROM message
 WHERE conversation_id = :id AND seq = :seq AND recalled_at IS NULL""")


def of_page(viewer: Caller, conversation_id: int, first: int, last: int) -> Bound:
    """Finds the reactions to the messages from seq `first` to `last`."""
    return OF_PAGE.bind(viewer=viewer.user_id, id=conversation_id, first=first, last=last)


def by_seq(rows: Sequence[Any]) -> Mapping[int, Any]:
    return {row.seq: row for row in rows}


async def list_reactors(
    connection: AsyncConnection, viewer: Caller, key: MessageKey, emoji: str, cursor: str, limit: int
) -> tuple[Sequence[Any], str]:
    """By user id and emoji. Raises ConversationNotFound, MessageNotFound, EmojiInvalid, CursorInvalid."""
    wanted = parse_emoji(emoji) if emoji else ""
    user_id, after = decode_cursor(cursor, tuple[Id, str]) or (0, "")
    membership = await members.require_member(connection, viewer, key.conversation_id)
    of = {"id": key.conversation_id, "seq": key.seq}
    if key.seq <= membership.joined_seq or not await connection.fetch(EXISTS, **of):
        raise MessageNotFound
    limit = clamp(limit, MAX_PAGE)
    rows = await connection.fetch(REACTORS, **of, emoji=wanted, user_id=user_id, after=after, limit=limit + 1)
    page = rows[:limit]
    return page, encode_cursor(page[-1].user_id, page[-1].emoji) if len(rows) > limit else ""
