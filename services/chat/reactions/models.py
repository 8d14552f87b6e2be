"""Reactions to messages, and their counts. User ids come from the user service."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.chat.models import Model


class Reaction(Model):
    """A user's reaction to a message. It goes with the message's recall, and with either account."""

    __tablename__ = "reaction"

    conversation_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    emoji: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (Index("reaction_user", "user_id", "conversation_id", "seq"),)


class ReactionSummary(Model):
    """How many reacted with each emoji, as [[emoji, count] …] in the order of first use; `rev` of the last change.

    The row stays when the last reaction is taken back, so that clients which were away hear of it.
    """

    __tablename__ = "reaction_summary"

    conversation_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    rev: Mapped[int]
    counts: Mapped[Any] = mapped_column(JSONB)

    __table_args__ = (Index("reaction_summary_rev", "conversation_id", "rev"),)
