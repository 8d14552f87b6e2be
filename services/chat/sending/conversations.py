"""Finds the conversation that a client means, and makes it the first time it is written to."""

from typing import Any, NamedTuple

import grpc.aio
from sqlalchemy import select

from protos.social.v1.groups_pb2 import BatchGetGroupsRequest, ListMemberIdsRequest
from protos.social.v1.groups_pb2_grpc import GroupsStub
from services.chat.errors import ConversationNotFound, NotMember, SocialUnavailable
from services.chat.membership import members
from services.chat.models import Conversation
from services.chat.push import outbox
from services.chat.push.frames import Push
from services.chat.push.outbox import Publisher
from services.kit.db import Database
from services.kit.errors import reason_of
from services.kit.ids import IdGenerator

MAX_KEPT = 50_000
NO_GROUP = ("NOT_MEMBER", "GROUP_NOT_FOUND")  # as the social service says it


class Room(NamedTuple):
    """What never changes of a conversation, but that `complete` becomes true."""

    id: int
    kind: int
    low_id: int | None
    high_id: int | None
    group_id: int | None
    complete: bool


class Rooms:
    """Those used lately, by id, by pair and by group."""

    def __init__(self, database: Database, publisher: Publisher, channel: grpc.aio.Channel, new_id: IdGenerator):
        self._database, self._publisher, self._new_id = database, publisher, new_id
        self._groups = GroupsStub(channel)
        self._kept: dict[int | tuple[int, int] | str, Room] = {}

    async def get(self, conversation_id: int) -> Room:
        """Raises ConversationNotFound."""
        room = self._kept.get(conversation_id) or await self._find(Conversation.id == conversation_id)
        if room is None:
            raise ConversationNotFound
        return room

    async def of_pair(self, user_id: int, peer_id: int) -> Room:
        low_id, high_id = sorted((user_id, peer_id))
        if room := self._kept.get((low_id, high_id)):
            return room
        if room := await self._find(Conversation.low_id == low_id, Conversation.high_id == high_id):
            return room
        async with self._database.transaction() as connection:
            row, made = await members.make_direct(connection, self._new_id(), low_id, high_id)
            ids = await outbox.store(connection, made)
        self._publisher.put(ids, made)
        return self._keep(row)

    async def of_group(self, user_id: int, group_id: int) -> Room:
        """For a member, in whose name the others are asked for. Raises NotMember, SocialUnavailable."""
        room = self._kept.get(f"group:{group_id}") or await self._find(Conversation.group_id == group_id)
        return room if room and room.complete else await self.complete(group_id)

    async def complete(self, group_id: int) -> Room:
        """The caller is one of its members. Raises NotMember, SocialUnavailable."""
        try:
            ids = (await self._groups.ListMemberIds(ListMemberIdsRequest(group_id=group_id))).user_ids
            groups = (await self._groups.BatchGetGroups(BatchGetGroupsRequest(group_ids=[group_id]))).groups
        except grpc.aio.AioRpcError as error:
            raise (NotMember if reason_of(error) in NO_GROUP else SocialUnavailable) from None
        title, made, stored = groups[0].name if groups else "", list[Push](), list[int]()
        async with self._database.transaction() as connection:
            row: Any = await members.lock_group(connection, group_id, self._new_id(), title)
            if not (row.complete or row.dismissed_at):
                row, made = await members.complete(connection, row, ids, title)
                stored = await outbox.store(connection, made)
        self._publisher.put(stored, made)
        return self._keep(row)

    async def admit(self, room: Room, user_id: int, seen_event_id: int | None) -> None:
        """Lets in one who is a member by the social service. Raises as `members.admit`."""
        async with self._database.transaction() as connection:
            made = await members.admit(connection, room.id, user_id, seen_event_id)
            ids = await outbox.store(connection, made)
        self._publisher.put(ids, made)

    async def has_group(self, group_id: int) -> bool:
        """Whether there is such a group, by the social service. Raises SocialUnavailable."""
        try:
            return bool((await self._groups.BatchGetGroups(BatchGetGroupsRequest(group_ids=[group_id]))).groups)
        except grpc.aio.AioRpcError:
            raise SocialUnavailable from None

    async def _find(self, *which: Any) -> Room | None:
        async with self._database.transaction() as connection:
            row = (await connection.execute(select(Conversation.__table__).where(*which))).one_or_none()
        return self._keep(row) if row else None

    def _keep(self, row: Any) -> Room:
        room = Room(row.id, row.kind, row.low_id, row.high_id, row.group_id, row.complete)
        if len(self._kept) > MAX_KEPT:
            self._kept.clear()
        self._kept[room.id] = room
        self._kept[f"group:{room.group_id}" if room.group_id else (room.low_id or 0, room.high_id or 0)] = room
        return room
