"""Typing: told to the other members at once and never stored."""

from sqlalchemy import text

from services.chat.apart import IN_CONVERSATION
from services.chat.models import ASKED, DECLINED
from services.chat.push import frames
from services.chat.push.outbox import Publisher
from services.kit.context import Caller
from services.kit.db import after_commit
from services.kit.sql.connection import AsyncConnection

FIND = text(f"""SELECT request, {IN_CONVERSATION} AS apart FROM conversation_member AS mine
 WHERE conversation_id = :conversation_id AND user_id = :user_id AND left_at IS NULL""")  # noqa: S608


async def send_typing(
    connection: AsyncConnection,
    publisher: Publisher,
    caller: Caller,
    conversation_id: int,
    active: bool,
    connection_id: str,
) -> None:
    """Signals whether the caller is typing: to the other members, and to the caller's sockets except `connection_id`.

    Nobody hears of it while a request to the caller is unanswered, and no user apart from the caller ever does.
    """
    values = {"conversation_id": conversation_id, "user_id": caller.user_id}
    row = (await connection.execute(FIND, values)).one_or_none()
    if row is None or row.request in (ASKED, DECLINED):
        return
    typing = frames.typing(conversation_id, caller.user_id, active, connection_id, row.apart or ())
    after_commit(connection, lambda: publisher.publish_unstored(typing))
