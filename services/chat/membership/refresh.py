"""Applies a membership change synchronously; the social service's event confirms it later (docs/adr/0021).

The gateway calls this before it answers the request that made the change. So what is sent after that answer does not
reach a user who was removed, does reach one who joined, and a user who was blocked can send nothing.
"""

from typing import Any

from sqlalchemy import select

from services.chat.apart import store_block
from services.chat.errors import NotMember
from services.chat.membership import members
from services.chat.membership.admission import find_members
from services.chat.membership.directory import ConversationDirectory
from services.chat.membership.permissions import Permissions
from services.chat.models import Block
from services.chat.push.outbox import Publisher
from services.kit.batcher import Batcher
from services.kit.context import Caller
from services.kit.db import Database

WAIT_SECONDS = 0.7  # for the frames of a removal to reach NATS; the gateway waits 1 s for the whole call


class MembershipRefresh:
    def __init__(
        self, database: Database, publisher: Publisher, permissions: Permissions, directory: ConversationDirectory
    ) -> None:
        self._database, self._publisher = database, publisher
        self._permissions, self._directory = permissions, directory
        self._members: Batcher[tuple[int, int], Any] = Batcher(
            self._find_members, dedupe=True, max_running=1, name="find members"
        )

    async def refresh(self, caller: Caller, group_id: int, user_id: int) -> None:
        """Makes the user's membership of the group's conversation what the social service says it is.

        Without a user: dismisses the conversation if the group is gone. Without a group: forgets whether the caller
        and the user are friends. Raises SocialUnavailable.
        """
        if not group_id:
            await self._refresh_block(caller.user_id, user_id)
        elif user_id:
            await self._refresh_member(group_id, user_id)
        elif not await self._directory.has_group(group_id):
            await self._dismiss(group_id)

    async def _refresh_block(self, user_id: int, peer_id: int) -> None:
        """Stores that the user blocks the peer, unless events that arrived since say something else."""
        self._permissions.drop_friends(user_id, peer_id)
        pair = {"user_id": user_id, "blocked_id": peer_id}
        async with self._database.transaction() as connection:
            seen = (await connection.execute(select(Block.event_id).filter_by(**pair))).scalar_one_or_none()
        if not (await self._permissions.check_friends(user_id, [peer_id]))[peer_id].blocks:
            return
        async with self._database.transaction() as connection:
            await store_block(connection, user_id, peer_id, 0, Block.event_id == (seen or 0))

    async def _refresh_member(self, group_id: int, user_id: int) -> None:
        seen = await self._members.submit((group_id, user_id))
        try:
            await self._permissions.require_member(user_id, group_id, fresh=True)
        except NotMember:
            self._permissions.drop_member(group_id, user_id)
            if seen:
                await self._remove(seen)
            return
        try:
            conversation = await self._directory.of_group(group_id)
            await self._directory.admit(conversation, user_id, seen.event_id if seen else None)
        except NotMember:  # the user has left in the meantime
            self._permissions.drop_member(group_id, user_id)

    async def _find_members(self, asked: list[tuple[int, int]]) -> list[Any]:
        async with self._database.reading() as connection:
            return await find_members(connection, asked)

    async def _remove(self, seen: Any) -> None:
        """Removes the member, unless events that arrived since `seen` was read have added them again."""
        async with self._database.transaction() as connection:
            conversation = await members.lock_conversation(connection, seen.conversation_id)
            row = await members.find_member(connection, conversation.id, seen.user_id)
            if row is None or (row.left_at is None and row.event_id != seen.event_id):
                return
            pushes = await members.set_member(connection, conversation, seen.user_id, False, row.event_id)
            await self._publisher.store_for_relay(connection, pushes)
        # Also if the event removed them before: the gateways may not have heard of it yet.
        await self._publisher.publish_memberships([f"push.user.{seen.user_id}"], WAIT_SECONDS)

    async def _dismiss(self, group_id: int) -> None:
        self._permissions.drop_all_members()
        async with self._database.transaction() as connection:
            pushes = await members.dismiss_group(connection, group_id)
            await self._publisher.store_for_relay(connection, pushes)
        await self._publisher.publish_memberships([push.subject for push in pushes], WAIT_SECONDS)
