"""The tables of tags. They follow the titles, descriptions and visibilities of videos (index.py)."""

from datetime import date

from sqlalchemy import BigInteger, Identity, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from services.media.models import Model

SHOWN, OTHER = text("visibility = 0"), text("visibility <> 0")


class VideoTag(Model):
    """A tag of a live video, with the video's owner, visibility and UTC day. Deleting the video deletes it."""

    __tablename__ = "video_tag"

    video_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(primary_key=True)  # the key of services/entities/parsing.py
    owner_id: Mapped[int]
    visibility: Mapped[int] = mapped_column(SmallInteger)
    day: Mapped[date]

    __table_args__ = (
        Index("video_tag_public", "name", "video_id", postgresql_where=SHOWN),
        Index("video_tag_other", "name", "owner_id", "video_id", postgresql_where=OTHER),
        Index("video_tag_day", "name", "day", "owner_id", postgresql_where=SHOWN),
    )


class Tag(Model):
    """How many public videos have a tag; without any it has no row."""

    __tablename__ = "tag"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str]
    video_count: Mapped[int] = mapped_column(server_default="0")

    __table_args__ = (
        Index("tag_name", "name", unique=True, postgresql_ops={"name": "text_pattern_ops"}),
        Index("tag_popular", "video_count"),
    )


class TagDay(Model):
    """How many owners have public videos of a UTC day with a tag: each counts once, however many videos they have."""

    __tablename__ = "tag_day"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str]
    day: Mapped[date]
    authors: Mapped[int] = mapped_column(server_default="0")

    __table_args__ = (
        Index("tag_day_name", "name", "day", unique=True),
        Index("tag_day_top", "day", "authors"),
    )
