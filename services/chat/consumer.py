"""What other services announce and this one acts on: who is in which group, what users want to hear of, who is gone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chat.config import SERVICE
from services.chat.membership import members
from services.chat.models import Conversation, UserLastSeen
from services.chat.notifications import notifications, rules
from services.chat.push import frames
from services.chat.push.frames import Push
from services.chat.service import Service
from services.kit import background
from services.kit.events import consume
from services.kit.nats import Event

GROUPS = "events.social.group."
BLOCKS = ["events.social.user.blocked", "events.social.user.unblocked"]
DELETED = "events.user.account.deleted"
MEMBERSHIP = [f"{GROUPS}{verb}" for verb in ("created", "joined", "left", "removed", "dismissed", "updated")]


@asynccontextmanager
async def consuming(service: Service) -> AsyncIterator[None]:
    """Handles events while the block runs; memberships apart, so that they do not wait behind a flood of likes."""
    consumer = Consumer(service)
    database, nats = service.database, service.nats
    durable = f"{SERVICE}-notifications"
    async with background.run(
        consume_membership=lambda: consume(database, nats, SERVICE, [*MEMBERSHIP, DELETED], consumer.follow),
        consume_notifications=lambda: consume(database, nats, durable, [*rules.SUBJECTS, *BLOCKS], consumer.notify),
    ):
        yield


class Consumer:
    def __init__(self, service: Service) -> None:
        self._new_id, self._publisher = service.new_id, service.publisher

    async def follow(self, connection: AsyncConnection, event: Event) -> None:
        if event.subject == DELETED:
            made = await forget_user(connection, int(event.data["user_id"]))
        else:
            made = await self._follow_group(connection, event)
        await self._push(connection, made)

    async def notify(self, connection: AsyncConnection, event: Event) -> None:
        if event.subject in BLOCKS:
            pair, blocked = (int(event.data["actor_id"]), int(event.data["user_id"])), event.subject == BLOCKS[0]
            await notifications.note_block(connection, *pair, blocked, event.id)
            return
        key = f"{event.subject.split('.')[1]}:{event.id}"
        await self._push(connection, await notifications.add(connection, self._new_id, key, rules.notices_of(event)))

    async def _push(self, connection: AsyncConnection, made: list[Push]) -> None:
        if made:
            await members.save(connection, made)
            self._publisher.wake()

    async def _follow_group(self, connection: AsyncConnection, event: Event) -> list[Push]:
        data, verb = event.data, event.subject.removeprefix(GROUPS)
        conversation: Any = await members.lock_group(
            connection, int(data["group_id"]), self._new_id(), data["group_name"]
        )
        made: list[Push] = []
        if event.id > conversation.event_id:
            conversation, made = await _note(connection, conversation, event)
        if verb == "created":  # all that happened to its members since, events tell
            known = update(Conversation).where(Conversation.id == conversation.id).values(complete=True)
            await connection.execute(known)
            made += await members.set_member(connection, conversation, int(data["actor_id"]), True, event.id)
        elif verb in ("joined", "left", "removed"):
            present, user_id = verb == "joined", int(data["user_id"])
            made += await members.set_member(connection, conversation, user_id, present, event.id)
        elif verb == "dismissed":
            made += await members.dismiss(connection, conversation, event.id)
        return made


async def _note(connection: AsyncConnection, conversation: Any, event: Event) -> tuple[Any, list[Push]]:
    """The newest event knows the group's name."""
    values: dict[str, Any] = {"event_id": event.id}
    renamed = event.data["group_name"] != conversation.title
    if renamed:
        values |= {"title": event.data["group_name"], "rev": Conversation.rev + 1}
    change = update(Conversation).where(Conversation.id == conversation.id).values(values)
    after = (await connection.execute(change.returning(Conversation.__table__))).one()
    return after, [frames.conversation_changed(after)] if renamed else []


async def forget_user(connection: AsyncConnection, user_id: int) -> list[Push]:
    """He leaves all conversations; what he wrote stays, under his id."""
    made = await members.leave_all(connection, user_id)
    await notifications.forget_user(connection, user_id)
    await connection.execute(delete(UserLastSeen).where(UserLastSeen.user_id == user_id))
    return made
