"""The tables of videos: what they are, what is said of them, and who may see them."""

from datetime import datetime

from sqlalchemy import BigInteger, Computed, Double, ForeignKey, Identity, Index, SmallInteger, func, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from services.media.models import Model

ADMIN = 3  # the user service's role that sees every video
SLOTS = 16  # of the count of public videos

IS_LIVE, IS_TOP = text("deleted_at IS NULL"), text("father_id = id AND deleted_at IS NULL")
# A tenfold weight is worth 45,000 s (12.5 hours) of youth. It never ages: what is newer just begins higher.
SCORE = (
    "log((1 + like_count + 2 * comment_count + 3 * share_count + view_count / 10)::double precision)"
    " + (id >> 22)::double precision / 45000000"
)


class Video(Model):
    """What is deleted keeps its row, emptied; its likes and comments are out of reach with it.

    `video_url` and `cover_url` are `/media/<hash>.<extension>` for files of ours.
    """

    __tablename__ = "video"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    owner_id: Mapped[int]
    title: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    type: Mapped[str] = mapped_column(server_default="")
    video_url: Mapped[str]
    cover_url: Mapped[str] = mapped_column(server_default="")
    object_hash: Mapped[str | None]  # of `video_url`, for a file of ours
    visibility: Mapped[int] = mapped_column(SmallInteger)
    publish_as: Mapped[int | None] = mapped_column(SmallInteger)  # its visibility once it plays; PRIVATE until then
    like_count: Mapped[int] = mapped_column(server_default="0")
    comment_count: Mapped[int] = mapped_column(server_default="0")
    share_count: Mapped[int] = mapped_column(server_default="0")
    view_count: Mapped[int] = mapped_column(server_default="0")
    score: Mapped[float] = mapped_column(Double, Computed(SCORE, persisted=True))
    random_key: Mapped[int]  # its place in the random order, which is the same for all who start elsewhere
    words: Mapped[str] = mapped_column(TSVECTOR)  # search.py
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    deleted_at: Mapped[datetime | None]

    __table_args__ = (
        Index("video_latest", "visibility", "id", postgresql_where=IS_LIVE),
        Index("video_popular", "visibility", "score", "id", postgresql_where=IS_LIVE),
        Index("video_random", "visibility", "random_key", "id", postgresql_where=IS_LIVE),
        Index("video_owner", "owner_id", "visibility", "id", postgresql_where=IS_LIVE),
        Index("video_words", "words", postgresql_using="gin", postgresql_where=IS_LIVE),
        Index("video_waiting", "object_hash", postgresql_where=text("publish_as IS NOT NULL")),
    )


class Comment(Model):
    """A top-level one is its own father. It is live if neither it nor its father is deleted.

    `content` is JSON as text: jsonb would give it back in another order.
    """

    __tablename__ = "comment"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    video_id: Mapped[int] = mapped_column(ForeignKey("video.id"))
    father_id: Mapped[int]
    reply_to_id: Mapped[int] = mapped_column(server_default="0")
    user_id: Mapped[int]
    owner_id: Mapped[int]  # of what it answers: the video, or the comment
    content: Mapped[str]
    like_count: Mapped[int] = mapped_column(server_default="0")
    reply_count: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    deleted_at: Mapped[datetime | None]

    __table_args__ = (
        Index("comment_top", "video_id", "id", postgresql_where=IS_TOP),
        Index("comment_top_liked", "video_id", "like_count", "id", postgresql_where=IS_TOP),
        Index("comment_thread", "father_id", "id", postgresql_where=IS_LIVE),
        Index("comment_thread_liked", "father_id", "like_count", "id", postgresql_where=IS_LIVE),
        Index("comment_user", "user_id", "id", postgresql_where=IS_LIVE),
    )


class VideoLike(Model):
    """A withdrawn one remains, so that nobody is told twice of the same like."""

    __tablename__ = "video_like"

    video_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(BigInteger, Identity())  # the order of liking
    withdrawn: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        Index("video_like_user", "user_id", "id", postgresql_where=text("NOT withdrawn")),
        Index("video_like_any", "user_id", "video_id"),
    )


class CommentLike(Model):
    """As VideoLike."""

    __tablename__ = "comment_like"

    comment_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    withdrawn: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (Index("comment_like_any", "user_id", "comment_id"),)


class VideoShare(Model):
    __tablename__ = "video_share"

    video_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (Index("video_share_user", "user_id", "video_id"),)


class Shelf(Model):
    """How many live videos a user has, by visibility."""

    __tablename__ = "shelf"

    owner_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    public_count: Mapped[int] = mapped_column(server_default="0")
    friends_count: Mapped[int] = mapped_column(server_default="0")
    private_count: Mapped[int] = mapped_column(server_default="0")


class Tally(Model):
    """A share of the number of public videos: one row for all would be everybody's lock."""

    __tablename__ = "tally"

    slot: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    public_count: Mapped[int] = mapped_column(server_default="0")


class Standing(Model):
    """How a user stands to a peer, as the social service's events tell; each pair has two rows.

    An event that arrives after a later one of its kind is known by its id, and changes nothing.
    """

    __tablename__ = "standing"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    peer_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    friend: Mapped[bool] = mapped_column(server_default=text("false"))
    blocks: Mapped[bool] = mapped_column(server_default=text("false"))
    blocked: Mapped[bool] = mapped_column(server_default=text("false"))
    friend_event: Mapped[int] = mapped_column(server_default="0")
    blocks_event: Mapped[int] = mapped_column(server_default="0")
    blocked_event: Mapped[int] = mapped_column(server_default="0")

    __table_args__ = (
        Index("standing_friend", "user_id", "peer_id", postgresql_where=text("friend")),
        Index("standing_apart", "user_id", "peer_id", postgresql_where=text("blocks OR blocked")),
        Index("standing_peer", "peer_id"),
    )


class Leaver(Model):
    """A deleted account whose videos, comments and likes are still being removed."""

    __tablename__ = "leaver"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
