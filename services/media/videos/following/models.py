"""How far users have seen the feed of those whom they follow."""

from datetime import datetime

from sqlalchemy import func
from sqlalchemy.orm import Mapped, mapped_column

from services.media.models import Model


class FollowingSeen(Model):
    """The newest video of the feed that the user has seen. Erasing the account deletes the row."""

    __tablename__ = "following_seen"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    video_id: Mapped[int]
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now())
