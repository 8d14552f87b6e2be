"""Handles other services' events: group memberships, what users are told about, blocks, deleted accounts, and
messages that moderators hide."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import update

from services.chat.account_erasure import AccountEraser
from services.chat.away import devices
from services.chat.config import SERVICE
from services.chat.membership import members, requests
from services.chat.membership.admission import Joined, apply_joins
from services.chat.models import Conversation
from services.chat.notifications import mutes, notifications, rules
from services.chat.notifications.notifications import NewNotification
from services.chat.notifications.writing import notify
from services.chat.push import frames
from services.chat.push.frames import Push
from services.chat.sending import moderation
from services.chat.service import Service
from services.kit import background
from services.kit.db import after_commit
from services.kit.events.consumer import consume, consume_batches
from services.kit.nats import Event
from services.kit.sql.connection import AsyncConnection

GROUPS = "events.social.group."
JOINED = f"{GROUPS}joined"
BLOCKS = [BLOCKED, UNBLOCKED] = ["events.social.user.blocked", "events.social.user.unblocked"]
# After these somebody who subscribed to a user's presence may no longer see it.
HIDING = ["events.social.friend.removed", BLOCKED, "events.social.user.presence_setting_changed"]
ENDED, DISABLED = "events.user.session.revoked", "events.user.account.disabled"
CHANGING = [*BLOCKS, *HIDING[::2], *mutes.SUBJECTS, ENDED, DISABLED]
DELETED = "events.user.account.deleted"
AGREED = [f"events.social.friend.{verb}" for verb in ("accepted", "added", "agreed")]
MAX_MEMBERSHIPS = 20  # events per transaction, which locks their conversations
MEMBERSHIP = [f"{GROUPS}{verb}" for verb in ("created", "joined", "left", "removed", "dismissed", "updated")]


@asynccontextmanager
async def consuming(service: Service) -> AsyncIterator[None]:
    """Handles events and erases deleted accounts while the block runs.

    Memberships have a consumer of their own, so that they do not wait behind a flood of likes.
    """
    eraser = AccountEraser(service.database, service.publisher)
    handler = EventHandler(service, eraser)
    database, nats = service.database, service.nats
    notifying = f"{SERVICE}-notifications"
    async with background.run(
        consume_membership=lambda: consume_batches(
            database, nats, SERVICE, [*MEMBERSHIP, *AGREED, DELETED], handler.apply_membership, most=MAX_MEMBERSHIPS
        ),
        consume_notifications=lambda: consume_batches(
            database, nats, notifying, [*rules.SUBJECTS, *CHANGING], handler.add_notifications
        ),
        consume_moderation=lambda: consume(
            database, nats, f"{SERVICE}-moderation", moderation.SUBJECTS, handler.moderate
        ),
        erase_accounts=eraser.run,
    ):
        yield


class EventHandler:
    def __init__(self, service: Service, eraser: AccountEraser) -> None:
        self._new_id, self._publisher, self._eraser = service.new_id, service.publisher, eraser
        self._presence = service.presence

    async def apply_membership(self, connection: AsyncConnection, events: Sequence[Event]) -> None:
        pairs = [pair for event in events if event.subject in AGREED for pair in _agreed(event.data)]
        waiting = await requests.find_waiting(connection, pairs)
        settled, pushes = await _apply_joins(connection, events)
        for event in events:
            if event.data.get("group_id") in settled:
                continue
            if event.subject == DELETED:
                pushes += await self._remove_account(connection, int(event.data["user_id"]))
            elif event.subject not in AGREED:
                pushes += await self._apply_group_event(connection, event)
            else:
                for pair in waiting.intersection(_agreed(event.data)):
                    pushes += await requests.open_of_pair(connection, *pair)
        await self._publisher.store_for_relay(connection, pushes)

    async def _remove_account(self, connection: AsyncConnection, user_id: int) -> list[Push]:
        after_commit(connection, lambda: self._presence.forget(user_id))
        return await self._eraser.remove(connection, user_id)

    async def moderate(self, connection: AsyncConnection, event: Event) -> None:
        await self._publisher.store_for_relay(connection, await moderation.apply_event(connection, event))

    async def add_notifications(self, connection: AsyncConnection, events: Sequence[Event]) -> None:
        """Those of many events at once, up to the next that changes what users want to hear."""
        told: list[tuple[str, NewNotification]] = []
        for event in events:
            if event.subject in rules.SUBJECTS:
                key = f"{event.subject.split('.')[1]}:{event.id}"
                told += [(key, new) for new in rules.notifications_for(event)]
                continue
            await notify(connection, self._publisher, self._new_id, told)
            told = []
            await self._apply_change(connection, event)
        await notify(connection, self._publisher, self._new_id, told)

    async def _apply_change(self, connection: AsyncConnection, event: Event) -> None:
        if event.subject in mutes.SUBJECTS:
            await mutes.apply_event(connection, event)
            return
        if event.subject == ENDED:
            await devices.remove_sessions(connection, [int(id) for id in event.data["session_ids"]])
            return
        if event.subject == DISABLED:
            await devices.remove_user(connection, int(event.data["user_id"]))
            return
        pair = int(event.data.get("actor_id", 0)), int(event.data.get("user_id", 0))
        if event.subject in HIDING:
            doubts = [frames.presence_in_doubt(user_id) for user_id in sorted(set(pair))]
            await self._publisher.store_for_relay(connection, doubts)
        if event.subject in BLOCKS:
            await notifications.set_block(connection, *pair, event.subject == BLOCKED, event.id)

    async def _apply_group_event(self, connection: AsyncConnection, event: Event) -> list[Push]:
        data, verb = event.data, event.subject.removeprefix(GROUPS)
        conversation: Any = await members.lock_group(
            connection, int(data["group_id"]), self._new_id(), data["group_name"]
        )
        pushes: list[Push] = []
        if event.id > conversation.event_id:
            conversation, pushes = await _record_event(connection, conversation, event)
        if verb == "created":  # events name every member since, so all of them are known here
            complete = update(Conversation).where(Conversation.id == conversation.id).values(complete=True)
            await connection.execute(complete)
            pushes += await members.set_member(connection, conversation, int(data["actor_id"]), True, event.id)
        elif verb in ("joined", "left", "removed"):
            present, user_id = verb == "joined", int(data["user_id"])
            pushes += await members.set_member(connection, conversation, user_id, present, event.id)
        elif verb == "dismissed":
            pushes += await members.dismiss(connection, conversation, event.id)
        return pushes


async def _apply_joins(connection: AsyncConnection, events: Sequence[Event]) -> tuple[set[str], list[Push]]:
    """Applies together what happened to groups that users have only joined; returns their ids."""
    other = {event.data.get("group_id") for event in events if event.subject != JOINED}
    joins = [
        Joined(event.id, int(event.data["group_id"]), int(event.data["user_id"]), event.data["group_name"])
        for event in events
        if event.subject == JOINED and event.data["group_id"] not in other
    ]
    if not joins:
        return set(), []
    group_ids, pushes = await apply_joins(connection, joins)
    return {str(id) for id in group_ids}, pushes


def _agreed(data: dict[str, Any]) -> list[tuple[int, int]]:
    """Who agreed to a friendship, and with whom: they have agreed to the messages of the other that wait for them."""
    pair = int(data["actor_id"]), int(data["user_id"])
    agreed = [pair] if data.get("actor_agreed") or data.get("agreed") else []
    return [*agreed, pair[::-1]] if data.get("user_agreed") else agreed


async def _record_event(connection: AsyncConnection, conversation: Any, event: Event) -> tuple[Any, list[Push]]:
    """Stores the id of the group's newest event, and the group's name, which it carries."""
    values: dict[str, Any] = {"event_id": event.id}
    renamed = event.data["group_name"] != conversation.title
    if renamed:
        values |= {"title": event.data["group_name"], "rev": Conversation.rev + 1}
    change = update(Conversation).where(Conversation.id == conversation.id).values(values)
    after = (await connection.execute(change.returning(Conversation.__table__))).one()
    return after, [frames.conversation_changed(after)] if renamed else []
