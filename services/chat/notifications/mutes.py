"""Users and words that receivers of notifications muted: copies, kept by the social service's events."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import ColumnElement, and_, delete, not_, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chat.models import Notification
from services.chat.notifications.models import Mute, MutedWords
from services.kit.nats import Event
from services.kit.text_search import fold, pattern_of

MUTED = "events.social.user.muted"
SUBJECTS = [MUTED, "events.social.user.unmuted", WORDS := "events.social.user.words_muted"]


class Addressed(Protocol):
    """A notification that is about to be written."""

    @property
    def user_id(self) -> int: ...

    @property
    def actor_id(self) -> int: ...

    @property
    def text(self) -> str: ...


N = TypeVar("N", bound=Addressed)


async def apply_event(connection: AsyncConnection, event: Event) -> None:
    """Stores what the newest event says, in whatever order events arrive."""
    user_id = int(event.data["actor_id"])
    if event.subject == WORDS:
        words = {"words": event.data["words"], "event_id": event.id}
        row = upsert(MutedWords).values(user_id=user_id, **words)
        newer = row.on_conflict_do_update(index_elements=["user_id"], set_=words, where=MutedWords.event_id < event.id)
    else:
        muted = {"muted": event.subject == MUTED, "event_id": event.id}
        pair = upsert(Mute).values(user_id=user_id, muted_id=int(event.data["user_id"]), **muted)
        newer = pair.on_conflict_do_update(
            index_elements=["user_id", "muted_id"], set_=muted, where=Mute.event_id < event.id
        )
    await connection.execute(newer)


async def unmuted(connection: AsyncConnection, notifications: Sequence[N]) -> list[N]:
    """Leaves out what users did, and what texts say, that the receivers muted."""
    if not notifications:
        return []
    users, actors = {new.user_id for new in notifications}, {new.actor_id for new in notifications}
    pairs = select(Mute.user_id, Mute.muted_id).where(Mute.user_id.in_(users), Mute.muted_id.in_(actors), Mute.muted)
    muted = {tuple(row) for row in await connection.execute(pairs)}
    texts = {new.user_id for new in notifications if new.text}
    words = select(MutedWords.user_id, MutedWords.words).where(MutedWords.user_id.in_(texts))
    rows = (await connection.execute(words)).all() if texts else []
    patterns = {user_id: pattern for user_id, words in rows if (pattern := pattern_of(words))}
    return [
        new
        for new in notifications
        if (new.user_id, new.actor_id) not in muted
        and not (new.user_id in patterns and patterns[new.user_id].search(fold(new.text)))
    ]


def is_shown(user_id: int) -> ColumnElement[bool]:
    """SQL of whether a notification of the user is not by one alone whom they have muted since."""
    muted = select(Mute.muted_id).where(Mute.user_id == user_id, Mute.muted)
    return not_(and_(Notification.actor_count == 1, Notification.actor_ids[1].in_(muted)))


async def erase_user(connection: AsyncConnection, user_id: int) -> None:
    which: Any
    for which in (Mute.user_id == user_id, Mute.muted_id == user_id):
        await connection.execute(delete(Mute).where(which))
    await connection.execute(delete(MutedWords).where(MutedWords.user_id == user_id))
