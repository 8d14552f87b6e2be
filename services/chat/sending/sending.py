"""Sending a message: resolve the conversation, check permission, queue for the group commit."""

import asyncio
from contextlib import suppress
from typing import Any
from weakref import WeakValueDictionary

from services.chat.errors import ConversationNotFound, NotMember, PinForbidden
from services.chat.membership.directory import ConversationDirectory, ConversationRef
from services.chat.membership.permissions import Permissions
from services.chat.messages import MessageKey, peer_of
from services.chat.models import DIRECT, GROUP
from services.chat.sending.attachments import Attachments
from services.chat.sending.content import Body, Content
from services.chat.sending.edits import find_content_type
from services.chat.sending.group_commit import GroupCommit
from services.chat.sending.insert import MembershipUnconfirmed, Outgoing, Sent, find_sent
from services.kit import roles, telemetry
from services.kit.context import Caller
from services.kit.db import Database
from services.kit.errors import HitokError

ADMISSIONS = 3  # of a sender who is no member here yet, while events about them keep arriving
Target = tuple[str, int]  # as the contract's oneof: conversation_id, user_id or group_id


class Sending:
    def __init__(
        self,
        database: Database,
        permissions: Permissions,
        attachments: Attachments,
        directory: ConversationDirectory,
        group_commit: GroupCommit,
    ) -> None:
        self._database, self._permissions, self._attachments = database, permissions, attachments
        self._directory, self._group_commit = directory, group_commit
        self._turns: WeakValueDictionary[Any, asyncio.Lock] = WeakValueDictionary()

    async def send(self, caller: Caller, target: Target, content: Content) -> Sent:
        """Returns once the message is committed. A caller's messages to one target are written in their order.

        Raises ConversationNotFound, NotFriends, Blocked, AnswerAwaited, NotMember, MessageInvalid, MessageTooLarge,
        ObjectNotFound, Overloaded, SocialUnavailable, MediaUnavailable.
        """
        turn = self._turns.setdefault((caller.user_id, target), asyncio.Lock())
        async with turn:  # keeps the order, however long the look-ups for the first message take
            conversation = await self.require_writer(caller, target)
            send = Outgoing(conversation.id, caller.user_id, content, telemetry.here())
            try:
                body = await self._attachments.fill(content.content_type, content.body)
            except HitokError:
                if stored := await self._find_stored(send):
                    return stored  # a retry: what has become of the file since does not matter
                raise
            send = send._replace(content=content._replace(body=body))
            committed = self._group_commit.submit(send)
        for _ in range(ADMISSIONS):
            try:
                return await committed
            except MembershipUnconfirmed as unconfirmed:
                await self._admit(caller, target, conversation, unconfirmed.event_id)
                committed = self._group_commit.submit(send)
            except NotMember:
                raise _refusal(target) from None
        try:
            return await committed
        except (MembershipUnconfirmed, NotMember):
            raise _refusal(target) from None

    async def check_edit(self, caller: Caller, key: MessageKey, body: Body) -> Body:
        """Checks that the caller may write to the conversation, and describes the attachment in the edited body.

        Raises what `send` raises, and MessageNotFound.
        """
        await self.require_writer(caller, ("conversation_id", key.conversation_id))
        async with self._database.transaction() as connection:
            content_type = await find_content_type(connection, caller, key)
        return await self._attachments.fill(content_type, body)

    async def may_recall_any(self, caller: Caller, conversation_id: int) -> bool:
        """Whether the caller manages the group. Raises ConversationNotFound, SocialUnavailable."""
        conversation = await self._directory.get(conversation_id)
        return conversation.kind == GROUP and await self._require_role(caller, conversation) >= roles.GROUP_MANAGER

    async def require_pinner(self, caller: Caller, conversation_id: int) -> None:
        """Both pin in a direct conversation, the owner and the managers in a group. Raises what `send` raises, and
        PinForbidden."""
        conversation = await self.require_writer(caller, ("conversation_id", conversation_id))
        if conversation.kind == GROUP and await self._require_role(caller, conversation) < roles.GROUP_MANAGER:
            raise PinForbidden

    async def require_writer(self, caller: Caller, target: Target) -> ConversationRef:
        """The conversation, to which the caller may write now. Raises what `send` raises."""
        to, id = target
        if to == "user_id":
            check = await self._permissions.require_friends(caller.user_id, id)
            return await self._directory.of_pair(caller.user_id, id, is_request=not check.peer_agreed)
        if to == "group_id":
            await self._permissions.require_member(caller.user_id, id)
            return await self._directory.of_group(id)
        conversation = await self._directory.get(id)
        if conversation.kind == DIRECT:
            if caller.user_id not in (conversation.low_id, conversation.high_id):
                raise ConversationNotFound
            await self._permissions.require_friends(caller.user_id, peer_of(conversation, caller.user_id))
            return conversation
        await self._require_role(caller, conversation)
        return conversation if conversation.complete else await self._directory.complete(conversation.group_id or 0)

    async def _require_role(self, caller: Caller, conversation: ConversationRef) -> int:
        """The caller's role in a group's conversation. Raises ConversationNotFound, SocialUnavailable."""
        try:
            return await self._permissions.require_member(caller.user_id, conversation.group_id or 0)
        except NotMember:
            raise ConversationNotFound from None

    async def _find_stored(self, send: Outgoing) -> Sent | None:
        async with self._database.transaction() as connection:
            (row,) = await find_sent(connection, [send])
        return Sent(row, duplicate=True) if row.live and row.seq is not None else None

    async def _admit(
        self, caller: Caller, target: Target, conversation: ConversationRef, seen_event_id: int | None
    ) -> None:
        """Adds the caller, who is no member here or not yet, if the social service, asked anew, says that they are; not
        if events about them arrived meanwhile, which may be older than that answer: then the next attempt decides."""
        try:
            if conversation.kind == DIRECT:  # the caller's account was deleted
                raise NotMember
            await self._permissions.require_member(caller.user_id, conversation.group_id or 0, fresh=True)
        except NotMember:
            raise _refusal(target) from None
        with suppress(NotMember):
            await self._directory.admit(conversation, caller.user_id, seen_event_id)


def _refusal(target: Target) -> NotMember | ConversationNotFound:
    return NotMember() if target[0] == "group_id" else ConversationNotFound()
