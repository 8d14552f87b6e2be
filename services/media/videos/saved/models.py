"""The tables of saved videos."""

from datetime import datetime

from sqlalchemy import BigInteger, Identity, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from services.media.models import Model


class SavedVideo(Model):
    """A video that a user saved, in at most one of their collections. Erasing the account deletes it."""

    __tablename__ = "saved_video"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    video_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(BigInteger, Identity())  # the order of saving
    collection_id: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        Index("saved_video_user", "user_id", "id"),
        Index("saved_video_collection", "collection_id", "id", postgresql_where=text("collection_id IS NOT NULL")),
    )


class Collection(Model):
    """A name under which a user saves videos. Erasing the account deletes it."""

    __tablename__ = "collection"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    user_id: Mapped[int]
    name: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (Index("collection_name", "user_id", "name", unique=True),)
