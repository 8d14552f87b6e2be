"""Message requests: the first messages to a user who has not agreed to hear from their sender (docs/contract/chat.md,
"Who may talk"). Answering, or accepting, is agreeing; the social service hears of it by an event.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, text, update

from services.chat.membership import members
from services.chat.messages import peer_of
from services.chat.models import ASKED, DECLINED, NO_REQUEST, Conversation, ConversationMember
from services.chat.parameters import json_rows
from services.chat.push import frames
from services.chat.push.frames import Push
from services.kit.context import Caller
from services.kit.events.outbox import emit
from services.kit.sql.connection import AsyncConnection

MAX_WAITING = 3  # messages of a sender who waits for an answer

Member = ConversationMember

# LATERAL with LIMIT: PostgreSQL asks the indexes for each pair; it might join the whole table.
WAITING = text(f"""SELECT pairs.* FROM jsonb_to_recordset(CAST(:pairs AS jsonb))
  AS pairs (user_id bigint, low_id bigint, high_id bigint)
 CROSS JOIN LATERAL (SELECT id FROM conversation
  WHERE conversation.low_id = pairs.low_id AND conversation.high_id = pairs.high_id LIMIT 1) AS direct
 CROSS JOIN LATERAL (SELECT request FROM conversation_member
  WHERE conversation_id = direct.id AND user_id = pairs.user_id LIMIT 1) AS mine
 WHERE mine.request IN ({ASKED}, {DECLINED})""")  # noqa: S608


async def answer(connection: AsyncConnection, caller: Caller, conversation_id: int, accept: bool) -> list[Push]:
    """Accepts or declines a request to the caller, and returns what to push. The sender does not hear of a refusal.

    A declined one can be accepted later. Does nothing without a request. Raises ConversationNotFound.
    """
    conversation = await members.require_member(connection, caller, conversation_id, lock=True)
    row: Any = await members.find_member(connection, conversation_id, caller.user_id)
    if accept:
        return await open_request(connection, conversation, row)
    if row.request != ASKED:
        return []
    await connection.execute(update(Member).where(_is(conversation_id, caller.user_id)).values(request=DECLINED))
    return [frames.conversation_left(conversation_id, conversation.rev, caller.user_id)]


async def open_request(connection: AsyncConnection, conversation: Any, row: Any) -> list[Push]:
    """Ends a request of a locked conversation for both users, as the member `row` agrees; returns what to push."""
    if row.request not in (ASKED, DECLINED):
        return []
    await connection.execute(update(Member).where(Member.conversation_id == conversation.id).values(request=NO_REQUEST))
    peer_id = peer_of(conversation, row.user_id)
    pair = f"pair:{min(row.user_id, peer_id)}:{max(row.user_id, peer_id)}"
    await emit(connection, "chat.request.accepted", pair, actor_id=str(row.user_id), user_id=str(peer_id))
    if row.request == DECLINED:
        return [frames.conversation_added(conversation, row)]
    return [frames.request_ended(conversation, row.user_id)]


async def open_answered(connection: AsyncConnection, answered: Sequence[tuple[int, int]]) -> list[Push]:
    """Ends the requests of locked conversations, (conversation, user), in which the asked user has now written."""
    pushes: list[Push] = []
    for conversation_id, user_id in answered:
        query = select(Conversation.__table__).where(Conversation.id == conversation_id)
        conversation = (await connection.execute(query)).one()
        pushes += await open_request(
            connection, conversation, await members.find_member(connection, conversation_id, user_id)
        )
    return pushes


async def find_waiting(connection: AsyncConnection, pairs: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
    """Those of the pairs (user, peer) of which the user has a request of the peer."""
    if not pairs:
        return set()
    asked = [{"user_id": user, "low_id": min(user, peer), "high_id": max(user, peer)} for user, peer in pairs]
    found = await connection.execute(WAITING, {"pairs": json_rows(asked)})
    return set(pairs).intersection((row.user_id, row.low_id + row.high_id - row.user_id) for row in found)


async def open_of_pair(connection: AsyncConnection, user_id: int, peer_id: int) -> list[Push]:
    """Ends the request of `peer_id` to a user who agreed to their friendship; returns what to push."""
    low_id, high_id = sorted((user_id, peer_id))
    pair = (Conversation.low_id == low_id, Conversation.high_id == high_id)
    conversation = (
        await connection.execute(select(Conversation.__table__).where(*pair).with_for_update())
    ).one_or_none()
    if conversation is None:
        return []
    row = await members.find_member(connection, conversation.id, user_id)
    return await open_request(connection, conversation, row) if row else []


def _is(conversation_id: int, user_id: int) -> Any:
    return (Member.conversation_id == conversation_id) & (Member.user_id == user_id)
