"""The tables of who follows whom."""

from datetime import datetime

from sqlalchemy import BigInteger, Identity, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from services.social.models import Model

FOLLOWS, ASKS = text("NOT pending"), text("pending")


class Follow(Model):
    """`user_id` follows `followed_id` or, while `pending`, asks to. Erasing either account deletes it."""

    __tablename__ = "follow"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    user_id: Mapped[int]
    followed_id: Mapped[int]
    pending: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        Index("follow_pair", "user_id", "followed_id", unique=True),
        Index("follow_following", "user_id", "id", postgresql_where=FOLLOWS),
        Index("follow_followers", "followed_id", "id", postgresql_where=FOLLOWS),
        Index("follow_requests", "followed_id", "id", postgresql_where=ASKS),
    )


class FollowCount(Model):
    """How many users a user follows, and by how many they are followed; requests are not counted."""

    __tablename__ = "follow_count"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    followers: Mapped[int] = mapped_column(server_default="0")
    following: Mapped[int] = mapped_column(server_default="0")
