"""Sends a dialect's client what it misses, from the store: by rev where that is known, else by seq.

One conversation after the other, and never more than the client has read: a slow client costs no memory.
"""

import asyncio
from collections.abc import Sequence

import grpc.aio
import structlog

from gateway.chat import commands, sync_pages
from gateway.chat.client import Chat
from gateway.ws.dialects.connection import BY_SEQ, DialectConnection, Position
from gateway.ws.dialects.events import Event
from gateway.ws.frames import Close
from gateway.ws.resume import pages
from protos.chat.v1 import conversations_pb2 as pb
from services.client_json.chat import MessageView
from services.kit.context import current_caller, current_deadline, current_request_id, new_request_id
from services.kit.errors import HitokError

STEP_SECONDS = 10.0  # for the reads of one conversation
MAX_FAILURES = 5  # in a row; then the client has to connect again
RETRY_SECONDS = 1.0
SPAN = 20  # messages read at a time

log = structlog.get_logger("sockets")


class CatchUp:
    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    async def run(self, connection: DialectConnection) -> None:
        """Until the client misses nothing, or has gone. Raises nothing."""
        failures = 0
        while (connection.behind or connection.list_again) and not connection.is_closing:
            current_caller.set(connection.caller)
            current_request_id.set(new_request_id())
            current_deadline.set(None)
            try:
                await connection.drained()
                await self._step(connection)
                failures = 0
            except (grpc.aio.AioRpcError, HitokError, TimeoutError) as error:
                failures += 1
                log.warning("catching up failed, will be tried again", error=repr(error)[:200])
            except Exception:
                log.exception("catching up failed", user_id=connection.caller.user_id)
                failures = MAX_FAILURES
            if failures == MAX_FAILURES:
                connection.close(Close.OVERLOADED, "failed")
            elif failures:
                await asyncio.sleep(RETRY_SECONDS)

    async def _step(self, connection: DialectConnection) -> None:
        conversation_id = next(iter(connection.behind), 0)
        if connection.list_again or conversation_id not in connection.positions:
            await self._list(connection)
            return
        position = connection.positions[conversation_id]
        if position.rev == BY_SEQ:
            await self._by_seq(connection, conversation_id, position)
        else:
            await self._by_rev(connection, conversation_id, position)
        if position.rev >= connection.behind.get(conversation_id, 0):
            connection.behind.pop(conversation_id, None)

    async def _list(self, connection: DialectConnection) -> None:
        """Finds the conversations that are new, and those whose events were missed."""
        connection.list_again = False
        asked = set(connection.behind)
        listed: set[int] = set()
        try:
            async with asyncio.timeout(STEP_SECONDS):
                async for page in pages(self._chat):
                    for row in page.conversations:
                        listed.add(row.conversation_id)
                        _compare(connection, row)
        except BaseException:
            connection.list_again = True
            raise
        for conversation_id in (asked | connection.positions.keys()) - listed:
            # The user left it, or hid it: nothing of it is theirs to see.
            connection.behind.pop(conversation_id, None)
            connection.positions.pop(conversation_id, None)

    async def _by_rev(self, connection: DialectConnection, conversation_id: int, position: Position) -> None:
        async with asyncio.timeout(STEP_SECONDS):
            found = await sync_pages.batch_sync(self._chat, {conversation_id: position.rev})
        if not found:
            connection.behind.pop(conversation_id, None)
            connection.positions.pop(conversation_id, None)
        elif found[0].limited:
            position.rev = BY_SEQ
        else:
            await _show(connection, conversation_id, position, found[0].messages)
            position.rev = found[0].to_rev

    async def _by_seq(self, connection: DialectConnection, conversation_id: int, position: Position) -> None:
        async with asyncio.timeout(STEP_SECONDS):
            newest = await commands.history(self._chat, commands.History(conversation_id, limit=1))
        last = newest.messages[0].seq if newest.messages else 0
        while position.seq < last and not connection.is_closing:
            end = min(position.seq + SPAN, last)
            async with asyncio.timeout(STEP_SECONDS):
                messages = await messages_between(self._chat, conversation_id, position.seq, end + 1)
            await _show(connection, conversation_id, position, messages)
            position.seq = max(position.seq, end)
        position.rev = newest.rev


def _compare(connection: DialectConnection, row: pb.Conversation) -> None:
    position = connection.positions.get(row.conversation_id)
    if position is None:
        connection.positions[row.conversation_id] = Position(BY_SEQ, row.joined_seq, row.peer_id, row.group_id)
    if position is None or position.rev != row.rev:
        connection.behind.setdefault(row.conversation_id, row.rev)


async def _show(
    connection: DialectConnection, conversation_id: int, position: Position, messages: Sequence[MessageView]
) -> None:
    for message in sorted(messages, key=lambda each: each.seq):
        if connection.is_crowded:
            await connection.drained()
        connection.show(Event(message), conversation_id, position)


async def messages_between(chat: Chat, conversation_id: int, after: int, before: int) -> list[MessageView]:
    """The caller's messages with `after` < seq < `before`, the oldest first."""
    found: list[MessageView] = []
    while before > after + 1:
        page = await commands.history(chat, commands.History(conversation_id, before, min(before - after - 1, 100)))
        newer = [message for message in page.messages if message.seq > after]
        found += newer
        if not newer or len(newer) < len(page.messages):
            break
        before = newer[-1].seq
    return found[::-1]
