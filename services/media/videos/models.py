"""The tables of videos, comments, likes and shares, and of the counts of videos."""

from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, Computed, Double, ForeignKey, Identity, Index, SmallInteger, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from services.media.models import Model

PUBLIC_COUNTER_SLOTS = 16
SLOT_SHIFT = 22  # a snowflake's low bits, of the node and of the sequence, are nearly always the same

IS_LIVE, IS_TOP = text("deleted_at IS NULL"), text("father_id = id AND deleted_at IS NULL")
# Ten times the reactions count as much as being published 45,000 s (12.5 hours) later. A score never decays:
# newer videos start with a higher one.
SCORE = (
    "log((1 + like_count + 2 * comment_count + 3 * share_count + view_count / 10)::double precision)"
    " + (id >> 22)::double precision / 45000000"
)


class Video(Model):
    """A deleted video keeps its row, emptied; its likes and comments cannot be reached any more.

    `video_url` and `cover_url` are `/media/<hash>.<extension>` for files of this service, else outside urls.
    """

    __tablename__ = "video"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    owner_id: Mapped[int]
    title: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    type: Mapped[str] = mapped_column(server_default="")
    video_url: Mapped[str]
    cover_url: Mapped[str] = mapped_column(server_default="")
    object_hash: Mapped[str | None]  # of `video_url`, unless it is an outside url
    visibility: Mapped[int] = mapped_column(SmallInteger)
    publish_as: Mapped[int | None] = mapped_column(SmallInteger)  # its visibility once it plays, or is HIDDEN no more
    captioned_hls: Mapped[str | None]  # hash of its master playlist with captions, if it has any
    like_count: Mapped[int] = mapped_column(server_default="0")
    comment_count: Mapped[int] = mapped_column(server_default="0")
    share_count: Mapped[int] = mapped_column(server_default="0")
    view_count: Mapped[int] = mapped_column(server_default="0")
    score: Mapped[float] = mapped_column(Double, Computed(SCORE, persisted=True))
    random_key: Mapped[int]  # its place in the random order; each viewer starts at a different place
    words: Mapped[str] = mapped_column(TSVECTOR)  # texts/text_search.py
    words_version: Mapped[int] = mapped_column(SmallInteger, server_default="1")  # maintenance/search_words.py
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")  # of its texts (tags/index.py)
    mentions: Mapped[dict[str, int]] = mapped_column(JSONB, server_default="{}")  # users by name, in its texts
    mentions_told: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default="{}")  # mentions.py
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    deleted_at: Mapped[datetime | None]
    moderation_event: Mapped[int] = mapped_column(server_default="0")  # moderation.py
    who_may_comment: Mapped[int] = mapped_column(SmallInteger, server_default="0")  # commenting/rights.py
    pinned_at: Mapped[datetime | None]
    pinned_comment_id: Mapped[int | None]
    cover_at: Mapped[int | None]  # milliseconds: the time whose picture is the cover (chosen_covers.py)

    __table_args__ = (
        Index("video_cover_at", "object_hash", "cover_at", postgresql_where=text("cover_at IS NOT NULL")),
        Index("video_latest", "visibility", "id", postgresql_where=IS_LIVE),
        Index("video_popular", "visibility", "score", "id", postgresql_where=IS_LIVE),
        Index("video_random", "visibility", "random_key", "id", postgresql_where=IS_LIVE),
        Index("video_owner", "owner_id", "visibility", "id", postgresql_where=IS_LIVE),
        Index("video_pinned", "owner_id", postgresql_where=text("pinned_at IS NOT NULL")),
        Index("video_pinned_comment", "owner_id", postgresql_where=text("pinned_comment_id IS NOT NULL")),
        Index("video_words", "words", postgresql_using="gin", postgresql_where=IS_LIVE),
        Index("video_old_words", "id", postgresql_where=text("words_version < 1")),
        Index("video_untagged", "id", postgresql_where=text("words_version < 2")),
        Index("video_waiting", "object_hash", postgresql_where=text("publish_as IS NOT NULL")),
    )


class Caption(Model):
    """The captions of a video in one language (BCP 47). The video refers to all three objects."""

    __tablename__ = "caption"

    video_id: Mapped[int] = mapped_column(ForeignKey("video.id"), primary_key=True, autoincrement=False)
    language: Mapped[str] = mapped_column(primary_key=True)
    label: Mapped[str]  # as players show it
    object_hash: Mapped[str]  # the whole, as WebVTT
    segments_hash: Mapped[str]  # the same in segments
    playlist_hash: Mapped[str]  # of the segments
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Comment(Model):
    """A top-level comment is its own father. A comment is live if neither it nor its father is deleted.

    A comment that a moderator hid is deleted, too, but `hidden_at` is set and it keeps its content (moderation.py).
    `content` is JSON, kept as text because jsonb would change its order.
    """

    __tablename__ = "comment"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    video_id: Mapped[int] = mapped_column(ForeignKey("video.id"))
    father_id: Mapped[int]
    reply_to_id: Mapped[int] = mapped_column(server_default="0")
    user_id: Mapped[int]
    owner_id: Mapped[int]  # the owner of the video, or the author of the comment, that this comment answers
    content: Mapped[str]
    mentions: Mapped[dict[str, int]] = mapped_column(JSONB, server_default="{}")  # users by name, in its content
    like_count: Mapped[int] = mapped_column(server_default="0")
    reply_count: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    deleted_at: Mapped[datetime | None]
    hidden_at: Mapped[datetime | None]
    edited_at: Mapped[datetime | None]
    mentions_told: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default="{}")  # by texts before an edit
    moderation_event: Mapped[int] = mapped_column(server_default="0")

    __table_args__ = (
        Index("comment_top", "video_id", "id", postgresql_where=IS_TOP),
        Index("comment_top_liked", "video_id", "like_count", "id", postgresql_where=IS_TOP),
        Index("comment_thread", "father_id", "id", postgresql_where=IS_LIVE),
        Index("comment_thread_liked", "father_id", "like_count", "id", postgresql_where=IS_LIVE),
        Index("comment_user", "user_id", "id", postgresql_where=IS_LIVE),
        Index("comment_hidden", "user_id", postgresql_where=text("hidden_at IS NOT NULL")),
    )


class VideoLike(Model):
    """A retracted like keeps its row, so that the same user liking again does not notify the owner again."""

    __tablename__ = "video_like"

    video_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(BigInteger, Identity())  # the order of liking
    retracted: Mapped[bool] = mapped_column("withdrawn", server_default=text("false"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        Index("video_like_user", "user_id", "id", postgresql_where=text("NOT withdrawn")),
        Index("video_like_any", "user_id", "video_id"),
    )


class CommentLike(Model):
    """Like VideoLike."""

    __tablename__ = "comment_like"

    comment_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    retracted: Mapped[bool] = mapped_column("withdrawn", server_default=text("false"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (Index("comment_like_any", "user_id", "comment_id"),)


class VideoShare(Model):
    __tablename__ = "video_share"

    video_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (Index("video_share_user", "user_id", "video_id"),)


class OwnerVideoCount(Model):
    """How many live videos a user has, by visibility."""

    __tablename__ = "shelf"

    owner_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    public_count: Mapped[int] = mapped_column(server_default="0")
    friends_count: Mapped[int] = mapped_column(server_default="0")
    private_count: Mapped[int] = mapped_column(server_default="0")


class PublicVideoCounter(Model):
    """One slot of the number of public videos. Several slots, because all writers would wait for a single row."""

    __tablename__ = "tally"

    slot: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    public_count: Mapped[int] = mapped_column(server_default="0")


class ErasedAccount(Model):
    """A deleted account whose videos, comments and likes are being erased."""

    __tablename__ = "leaver"

    user_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
