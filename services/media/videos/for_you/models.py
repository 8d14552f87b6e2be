"""The tables of what users watched, what they keep out of their feed, and which videos are liked by the same users."""

from datetime import datetime

from sqlalchemy import ARRAY, REAL, BigInteger, Identity, Index, SmallInteger, func, text
from sqlalchemy.orm import Mapped, mapped_column

from services.media.models import Model


class WatchedVideo(Model):
    """How much of a video a user has watched at most, in per cent. A user keeps the newest (watches.py)."""

    __tablename__ = "watched_video"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    video_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    share: Mapped[int] = mapped_column(SmallInteger)
    watched_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (Index("watched_video_user", "user_id", "watched_at"),)


class NotInterested(Model):
    """A video, an author or a tag that a user keeps out of their feed; the other two are 0 or empty."""

    __tablename__ = "not_interested"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    video_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    owner_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tag: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity())  # the order in which they were kept out
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (Index("not_interested_user", "user_id", "id"),)


class ForYouSetting(Model):
    """What a user has set of the feed; without a row nothing. What they did before `reset_at` counts no more."""

    __tablename__ = "for_you_setting"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    chronological: Mapped[bool] = mapped_column(server_default=text("false"))
    reset_at: Mapped[datetime | None]


class NearVideos(Model):
    """The videos that those who like a video like, too, the nearest first (near_videos.py)."""

    __tablename__ = "near_videos"

    video_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    near_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    weights: Mapped[list[float]] = mapped_column(ARRAY(REAL))  # 0 to 1
    like_count: Mapped[int]  # when they were computed
