"""Copies of what users muted in the social service, kept by its events. User ids come from the user service."""

from sqlalchemy import ARRAY, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from services.chat.models import Model


class Mute(Model):
    """A copy of the social service's mutes, kept by its events. Erasing either account deletes it."""

    __tablename__ = "mute"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    muted_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event_id: Mapped[int]
    muted: Mapped[bool]

    __table_args__ = (Index("mute_muted", "muted_id"),)


class MutedWords(Model):
    """A copy of the words that a user muted, likewise."""

    __tablename__ = "muted_words"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    words: Mapped[list[str]] = mapped_column(ARRAY(Text))
    event_id: Mapped[int]
