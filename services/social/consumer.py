"""Handles events of other services: a deleted account, of whose user everything is removed, and an answered message."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, select, update

from services.kit import background
from services.kit.events.consumer import consume
from services.kit.nats import Event
from services.kit.roles import GROUP_OWNER
from services.kit.sql.connection import AsyncConnection
from services.social import events
from services.social.config import SERVICE
from services.social.follows import follows
from services.social.friends.friend_requests import agree_to_friend
from services.social.groups import moderation
from services.social.groups.groups import dismiss
from services.social.groups.members import RANK, transfer_ownership
from services.social.locks import lock_users
from services.social.models import (
    Block,
    ContactSettings,
    FriendRequest,
    Friendship,
    Group,
    Invitation,
    JoinRequest,
    Member,
    Mute,
    MutedWord,
    Refusal,
)
from services.social.service import Service

MODERATION = f"{SERVICE}-moderation"  # the durable of its own
ANSWERED = "events.chat.request.accepted"  # in the chat, which is agreeing
SUBJECTS = ["events.user.account.deleted", ANSWERED]
ONE_AT_A_TIME = 0  # locked like a user: two accounts deleted at once could each hold rows that name the other
BATCH = 2_000  # rows per statement, which has to end before the statement timeout


@asynccontextmanager
async def consuming(service: Service) -> AsyncIterator[None]:
    """Handles events while the block runs."""
    database, nats = service.database, service.nats
    async with background.run(
        consume=lambda: consume(database, nats, SERVICE, SUBJECTS, handle),
        consume_moderation=lambda: consume(database, nats, MODERATION, moderation.SUBJECTS, moderation.apply_event),
    ):
        yield


async def handle(connection: AsyncConnection, event: Event) -> None:
    if event.subject == ANSWERED:
        await agree_to_friend(connection, int(event.data["actor_id"]), int(event.data["user_id"]))
    else:
        await forget_user(connection, int(event.data["user_id"]))


async def forget_user(connection: AsyncConnection, user_id: int) -> None:
    """Removes everything stored about a user.

    A group that they owned goes to its oldest manager, else to its oldest member, else it is dismissed.
    """
    await lock_users(connection, ONE_AT_A_TIME, user_id)
    groups = await _lock_groups(connection, user_id)
    await _end_friendships(connection, user_id)
    await _delete(connection, FriendRequest, FriendRequest.from_id == user_id)
    await _delete(connection, FriendRequest, FriendRequest.to_id == user_id)
    await connection.execute(delete(Refusal).where(Refusal.user_id == user_id))
    await connection.execute(delete(Refusal).where(Refusal.peer_id == user_id))
    await connection.execute(delete(ContactSettings).where(ContactSettings.user_id == user_id))
    await connection.execute(delete(Mute).where(Mute.user_id == user_id))
    await _delete(connection, Mute, Mute.muted_id == user_id)
    await follows.forget_user(connection, user_id, BATCH)
    await connection.execute(delete(MutedWord).where(MutedWord.user_id == user_id))
    await _delete(connection, Block, Block.user_id == user_id)
    await _delete(connection, Block, Block.blocked_id == user_id)
    await connection.execute(delete(Invitation).where(Invitation.user_id == user_id))
    await connection.execute(delete(Invitation).where(Invitation.inviter_id == user_id))
    await _delete(connection, JoinRequest, JoinRequest.user_id == user_id)
    await _leave(connection, groups, user_id)


async def _end_friendships(connection: AsyncConnection, user_id: int) -> None:
    gone = delete(Friendship).where(Friendship.user_id == user_id).returning(Friendship.friend_id)
    friend_ids = (await connection.execute(gone)).scalars().all()
    mirrored = delete(Friendship).where(Friendship.user_id.in_(friend_ids), Friendship.friend_id == user_id)
    await connection.execute(mirrored)
    await events.friends_removed(connection, user_id, friend_ids)


async def _delete(connection: AsyncConnection, model: Any, which: ColumnElement[bool]) -> None:
    while True:
        batch = select(model.id).where(which).limit(BATCH)
        if (await connection.execute(delete(model).where(model.id.in_(batch)))).rowcount < BATCH:
            return


async def _lock_groups(connection: AsyncConnection, user_id: int) -> dict[int, Row[Any]]:
    """The groups that the user belongs to, by id. The user is locked, so they join no other group meanwhile."""
    mine = select(Member.group_id).where(Member.user_id == user_id)
    locked = select(Group.__table__).where(Group.id.in_(mine)).order_by(Group.id).with_for_update()
    return {group.id: group for group in await connection.execute(locked)}


async def _leave(connection: AsyncConnection, groups: dict[int, Row[Any]], user_id: int) -> None:
    left = delete(Member).where(Member.user_id == user_id, Member.group_id.in_(groups))
    roles = (await connection.execute(left.returning(Member.group_id, Member.role))).all()
    counted = update(Group).where(Group.id.in_([row.group_id for row in roles]))
    await connection.execute(counted.values(member_count=Group.member_count - 1))
    for row in roles:
        group = groups[row.group_id]
        await events.group_left(connection, group, user_id)
        if row.role == GROUP_OWNER:
            await _pass_on(connection, group, user_id)


async def _pass_on(connection: AsyncConnection, group: Any, user_id: int) -> None:
    heirs = select(Member.__table__).where(Member.group_id == group.id).order_by(RANK, Member.id).limit(1)
    heir = (await connection.execute(heirs)).one_or_none()
    if heir is None:
        await dismiss(connection, group, user_id)
    else:
        await transfer_ownership(connection, group, heir, user_id)
