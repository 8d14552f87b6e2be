"""Finds the conversation that a client names, and creates it when someone writes to it for the first time."""

from collections.abc import Sequence
from math import inf
from typing import Any, NamedTuple

import grpc.aio
from sqlalchemy import select

from protos.social.v1.groups_pb2 import BatchGetGroupsRequest, ListMemberIdsRequest
from protos.social.v1.groups_pb2_grpc import GroupsStub
from services.chat.errors import ConversationNotFound, NotMember, Overloaded, SocialUnavailable
from services.chat.membership import members
from services.chat.membership.admission import Admission, admit
from services.chat.models import Conversation
from services.chat.push.frames import Push
from services.chat.push.outbox import Publisher
from services.kit.batcher import Batcher
from services.kit.db import Database
from services.kit.errors import reason_of
from services.kit.ids import IdGenerator
from services.kit.rpc.group_commit import group_commit
from services.kit.ttl_map import TtlMap

MAX_ADMISSIONS = 100  # per transaction, which locks their conversations
MAX_CACHED = 100_000  # each conversation twice
NO_GROUP = ("NOT_MEMBER", "GROUP_NOT_FOUND")  # the social service's reasons


class ConversationRef(NamedTuple):
    """The constant properties of a conversation; `complete` may become true later."""

    id: int
    kind: int
    low_id: int | None
    high_id: int | None
    group_id: int | None
    complete: bool


class ConversationDirectory:
    """Caches the conversations used lately, by their id, by their pair of users, and by their group."""

    def __init__(self, database: Database, publisher: Publisher, channel: grpc.aio.Channel, new_id: IdGenerator):
        self._database, self._publisher, self._new_id = database, publisher, new_id
        self._groups = GroupsStub(channel)
        self._admissions: Batcher[Admission, None] = group_commit(self._admit, Overloaded, MAX_ADMISSIONS)
        self._cached: TtlMap[int | tuple[int, int] | str, ConversationRef] = TtlMap(inf, MAX_CACHED)

    async def get(self, conversation_id: int) -> ConversationRef:
        """Raises ConversationNotFound."""
        found = self._cached.get(conversation_id) or await self._find(Conversation.id == conversation_id)
        if found is None:
            raise ConversationNotFound
        return found

    async def of_pair(self, user_id: int, peer_id: int, is_request: bool = False) -> ConversationRef:
        """The two users' direct conversation, created if there is none; as a request to the peer if `is_request`."""
        low_id, high_id = sorted((user_id, peer_id))
        if cached := self._cached.get((low_id, high_id)):
            return cached
        if found := await self._find(Conversation.low_id == low_id, Conversation.high_id == high_id):
            return found
        async with self._database.transaction() as connection:
            row, pushes = await members.create_direct(
                connection, self._new_id(), low_id, high_id, asked_id=peer_id if is_request else 0
            )
            await self._publisher.store(connection, pushes)
        return self._cache(row)

    async def of_group(self, group_id: int) -> ConversationRef:
        """The group's conversation with all its members, created if there is none. The caller is a member of the group:
        the social service is asked in their name. Raises NotMember, SocialUnavailable."""
        found = self._cached.get(f"group:{group_id}") or await self._find(Conversation.group_id == group_id)
        return found if found and found.complete else await self.complete(group_id)

    async def complete(self, group_id: int) -> ConversationRef:
        """Like `of_group`, for a conversation whose members this service does not all know yet."""
        try:
            ids = (await self._groups.ListMemberIds(ListMemberIdsRequest(group_id=group_id))).user_ids
            groups = (await self._groups.BatchGetGroups(BatchGetGroupsRequest(group_ids=[group_id]))).groups
        except grpc.aio.AioRpcError as error:
            raise (NotMember if reason_of(error) in NO_GROUP else SocialUnavailable) from None
        title, pushes = groups[0].name if groups else "", list[Push]()
        async with self._database.transaction() as connection:
            row: Any = await members.lock_group(connection, group_id, self._new_id(), title)
            if not (row.complete or row.dismissed_at):
                row, pushes = await members.complete(connection, row, ids, title)
                await self._publisher.store(connection, pushes)
        return self._cache(row)

    async def admit(self, conversation: ConversationRef, user_id: int, seen_event_id: int | None) -> None:
        """Adds a user who is a member according to the social service. Raises NotMember, ConversationNotFound."""
        await self._admissions.submit(Admission(conversation.id, user_id, seen_event_id))

    async def _admit(self, asked: Sequence[Admission]) -> Sequence[NotMember | ConversationNotFound | None]:
        async with self._database.transaction() as connection:
            outcomes, pushes = await admit(connection, asked)
            await self._publisher.store(connection, pushes)
        return outcomes

    async def has_group(self, group_id: int) -> bool:
        """Whether the social service has the group. Raises SocialUnavailable."""
        try:
            return bool((await self._groups.BatchGetGroups(BatchGetGroupsRequest(group_ids=[group_id]))).groups)
        except grpc.aio.AioRpcError:
            raise SocialUnavailable from None

    async def _find(self, *which: Any) -> ConversationRef | None:
        async with self._database.transaction() as connection:
            row = (await connection.execute(select(Conversation.__table__).where(*which))).one_or_none()
        return self._cache(row) if row else None

    def _cache(self, row: Any) -> ConversationRef:
        found = ConversationRef(row.id, row.kind, row.low_id, row.high_id, row.group_id, row.complete)
        self._cached.put(found.id, found)
        pair = found.low_id or 0, found.high_id or 0
        self._cached.put(f"group:{found.group_id}" if found.group_id else pair, found)
        return found
