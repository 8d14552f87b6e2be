"""Users and words that receivers of notifications muted: copies, kept by the social service's events."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, not_, select
from sqlalchemy.dialects.postgresql import insert as upsert

from services.chat.models import Notification
from services.chat.notifications.models import Mute, MutedWords
from services.kit.nats import Event
from services.kit.sql.connection import AsyncConnection
from services.kit.texts.text_search import fold, pattern_of

MUTED = "events.social.user.muted"
SUBJECTS = [MUTED, "events.social.user.unmuted", WORDS := "events.social.user.words_muted"]


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


def mentions_muted(words: Sequence[str] | None, text: str) -> bool:
    """Whether a text says one of the words that its receiver muted."""
    pattern = pattern_of(words) if words and text else None
    return bool(pattern and pattern.search(fold(text)))


def is_shown(user_id: int) -> ColumnElement[bool]:
    """SQL of whether a notification of the user is not by one alone whom they have muted since."""
    muted = select(Mute.muted_id).where(Mute.user_id == user_id, Mute.muted)
    return not_(and_(Notification.actor_count == 1, Notification.actor_ids[1].in_(muted)))


async def erase_user(connection: AsyncConnection, user_id: int) -> None:
    which: Any
    for which in (Mute.user_id == user_id, Mute.muted_id == user_id):
        await connection.execute(delete(Mute).where(which))
    await connection.execute(delete(MutedWords).where(MutedWords.user_id == user_id))
