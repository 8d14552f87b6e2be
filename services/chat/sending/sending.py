"""Sending: where to, may he, then the queue of those who write."""

import asyncio
from typing import Any
from weakref import WeakValueDictionary

from services.chat.errors import ConversationNotFound, NotMember
from services.chat.messages import peer_of
from services.chat.models import DIRECT
from services.chat.sending.attachments import Attachments
from services.chat.sending.content import Content
from services.chat.sending.conversations import Room, Rooms
from services.chat.sending.insert import Doubt, Outgoing, Sent, find_sent
from services.chat.sending.permissions import Permits
from services.chat.sending.writer import Batches
from services.kit import telemetry
from services.kit.context import Caller
from services.kit.db import Database
from services.kit.errors import HitokError

Target = tuple[str, int]  # as the contract's oneof: conversation_id, user_id or group_id


class Sending:
    def __init__(
        self,
        database: Database,
        permits: Permits,
        attachments: Attachments,
        rooms: Rooms,
        batches: Batches,
    ) -> None:
        self._database, self._permits, self._attachments = database, permits, attachments
        self._rooms, self._batches = rooms, batches
        self._turns: WeakValueDictionary[Any, asyncio.Lock] = WeakValueDictionary()

    async def send(self, caller: Caller, target: Target, content: Content) -> Sent:
        """Committed when it returns. What one sends to one target at once is written in the order it came.

        Raises ConversationNotFound, NotFriends, Blocked, NotMember, MessageInvalid, MessageTooLarge, ObjectNotFound,
        Overloaded, SocialUnavailable, MediaUnavailable.
        """
        turn = self._turns.setdefault((caller.user_id, target), asyncio.Lock())
        async with turn:  # first come, first served, however long the questions of the first take
            room = await self.require_writer(caller, target)
            send = Outgoing(room.id, caller.user_id, content, telemetry.here())
            try:
                body = await self._attachments.fill(content.content_type, content.body)
            except HitokError:
                if stored := await self._find_stored(send):
                    return stored  # sent before; what became of its file since is no matter
                raise
            send = send._replace(content=content._replace(body=body))
            waiting = self._batches.add(send)
        try:
            return await waiting
        except Doubt as doubt:
            await self._resolve(caller, target, room, doubt)
            return await self._batches.add(send)
        except NotMember:
            raise _refusal(target) from None

    async def _find_stored(self, send: Outgoing) -> Sent | None:
        async with self._database.transaction() as connection:
            (row,) = await find_sent(connection, [send])
        return Sent(row, duplicate=True) if row.live and row.seq is not None else None

    async def require_writer(self, caller: Caller, target: Target) -> Room:
        """Where the caller may write now. Raises as `send`."""
        to, id = target
        if to == "user_id":
            await self._permits.require_friends(caller.user_id, id)
            return await self._rooms.of_pair(caller.user_id, id)
        if to == "group_id":
            await self._permits.require_member(caller.user_id, id)
            return await self._rooms.of_group(caller.user_id, id)
        room = await self._rooms.get(id)
        if room.kind == DIRECT:
            if caller.user_id not in (room.low_id, room.high_id):
                raise ConversationNotFound
            await self._permits.require_friends(caller.user_id, peer_of(room, caller.user_id))
            return room
        await self.require_role(caller, room)
        return room if room.complete else await self._rooms.complete(room.group_id or 0)

    async def require_role(self, caller: Caller, room: Room) -> int:
        """The caller's in a group's conversation. Raises ConversationNotFound, SocialUnavailable."""
        try:
            return await self._permits.require_member(caller.user_id, room.group_id or 0)
        except NotMember:
            raise ConversationNotFound from None

    async def _resolve(self, caller: Caller, target: Target, room: Room, doubt: Doubt) -> None:
        """He is no member here, or not yet: only what the social service says after that counts."""
        try:
            if room.kind == DIRECT:  # his account is gone
                raise NotMember
            await self._permits.require_member(caller.user_id, room.group_id or 0, fresh=True)
            await self._rooms.admit(room, caller.user_id, doubt.event_id)
        except NotMember:
            raise _refusal(target) from None


def _refusal(target: Target) -> NotMember | ConversationNotFound:
    return NotMember() if target[0] == "group_id" else ConversationNotFound()
