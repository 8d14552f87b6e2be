"""Pinned messages. User ids come from the user service."""

from datetime import datetime

from sqlalchemy import func
from sqlalchemy.orm import Mapped, mapped_column

from services.chat.models import Model


class PinnedMessage(Model):
    """A message pinned for all members; `conversation.pins_rev` is the rev of the last change. A recall deletes it."""

    __tablename__ = "pinned_message"

    conversation_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    pinned_by: Mapped[int] = mapped_column(index=True)
    pinned_at: Mapped[datetime] = mapped_column(server_default=func.now())
