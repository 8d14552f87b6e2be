"""Videos, their likes, shares and comments, the counts, and how users stand to each other."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NOW = sa.func.now()
IS_LIVE = sa.text("deleted_at IS NULL")
IS_TOP = sa.text("father_id = id AND deleted_at IS NULL")
STANDS = sa.text("NOT withdrawn")
SCORE = (
    "log((1 + like_count + 2 * comment_count + 3 * share_count + view_count / 10)::double precision)"
    " + (id >> 22)::double precision / 45000000"
)


def key(name: str) -> sa.Column:  # type: ignore[type-arg]
    return sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False)


def number(name: str, default: str | None = None) -> sa.Column:  # type: ignore[type-arg]
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=default)


def flag(name: str) -> sa.Column:  # type: ignore[type-arg]
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false())


def words(name: str, default: str | None = None) -> sa.Column:  # type: ignore[type-arg]
    return sa.Column(name, sa.Text, nullable=False, server_default=default)


def moment(name: str, required: bool = True) -> sa.Column:  # type: ignore[type-arg]
    return sa.Column(name, sa.DateTime(timezone=True), nullable=not required, server_default=NOW if required else None)


def upgrade() -> None:
    create_video_table()
    create_comment_table()
    create_reaction_tables()
    create_count_tables()
    create_people_tables()


def create_video_table() -> None:
    op.create_table(
        "video",
        key("id"),
        number("owner_id"),
        words("title"),
        words("description", ""),
        words("type", ""),
        words("video_url"),
        words("cover_url", ""),
        sa.Column("object_hash", sa.Text),
        sa.Column("visibility", sa.SmallInteger, nullable=False),
        *(number(f"{what}_count", "0") for what in ("like", "comment", "share", "view")),
        sa.Column("score", sa.Double, sa.Computed(SCORE, persisted=True), nullable=False),
        number("random_key"),
        sa.Column("words", TSVECTOR, nullable=False),
        moment("created_at"),
        moment("updated_at"),
        moment("deleted_at", required=False),
    )
    op.create_index("video_latest", "video", ["visibility", "id"], postgresql_where=IS_LIVE)
    op.create_index("video_popular", "video", ["visibility", "score", "id"], postgresql_where=IS_LIVE)
    op.create_index("video_random", "video", ["visibility", "random_key", "id"], postgresql_where=IS_LIVE)
    op.create_index("video_owner", "video", ["owner_id", "visibility", "id"], postgresql_where=IS_LIVE)
    op.create_index("video_words", "video", ["words"], postgresql_using="gin", postgresql_where=IS_LIVE)


def create_comment_table() -> None:
    op.create_table(
        "comment",
        key("id"),
        sa.Column("video_id", sa.BigInteger, sa.ForeignKey("video.id"), nullable=False),
        number("father_id"),
        number("reply_to_id", "0"),
        number("user_id"),
        number("owner_id"),
        words("content"),
        number("like_count", "0"),
        number("reply_count", "0"),
        moment("created_at"),
        moment("updated_at"),
        moment("deleted_at", required=False),
    )
    op.create_index("comment_top", "comment", ["video_id", "id"], postgresql_where=IS_TOP)
    op.create_index("comment_top_liked", "comment", ["video_id", "like_count", "id"], postgresql_where=IS_TOP)
    op.create_index("comment_thread", "comment", ["father_id", "id"], postgresql_where=IS_LIVE)
    op.create_index("comment_thread_liked", "comment", ["father_id", "like_count", "id"], postgresql_where=IS_LIVE)
    op.create_index("comment_user", "comment", ["user_id", "id"], postgresql_where=IS_LIVE)


def create_reaction_tables() -> None:
    op.create_table(
        "video_like",
        key("video_id"),
        key("user_id"),
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        flag("withdrawn"),
        moment("created_at"),
    )
    op.create_index("video_like_user", "video_like", ["user_id", "id"], postgresql_where=STANDS)
    op.create_index("video_like_any", "video_like", ["user_id", "video_id"])
    op.create_table("comment_like", key("comment_id"), key("user_id"), flag("withdrawn"), moment("created_at"))
    op.create_index("comment_like_any", "comment_like", ["user_id", "comment_id"])
    op.create_table("video_share", key("video_id"), key("user_id"), moment("created_at"))
    op.create_index("video_share_user", "video_share", ["user_id", "video_id"])


def create_count_tables() -> None:
    counts = ("public_count", "friends_count", "private_count")
    op.create_table("shelf", key("owner_id"), *(number(name, "0") for name in counts))
    op.create_table("tally", key("slot"), number("public_count", "0"))
    op.execute("INSERT INTO tally (slot) SELECT generate_series(0, 15)")


def create_people_tables() -> None:
    flags = ("friend", "blocks", "blocked")
    op.create_table(
        "standing",
        key("user_id"),
        key("peer_id"),
        *map(flag, flags),
        *(number(f"{name}_event", "0") for name in flags),
    )
    op.create_index("standing_friend", "standing", ["user_id", "peer_id"], postgresql_where=sa.text("friend"))
    op.create_index("standing_apart", "standing", ["user_id", "peer_id"], postgresql_where=sa.text("blocks OR blocked"))
    op.create_index("standing_peer", "standing", ["peer_id"])
    op.create_table("leaver", key("user_id"), moment("created_at"))
