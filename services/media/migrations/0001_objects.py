"""Objects, uploads, references, processing and the event tables."""

import sqlalchemy as sa
from alembic import op

from services.kit.migrate import create_event_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NOW = sa.func.now()


def number(name: str, default: str | None = None) -> sa.Column:  # type: ignore[type-arg]
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=default)


def words(name: str, default: str | None = None) -> sa.Column:  # type: ignore[type-arg]
    return sa.Column(name, sa.Text, nullable=False, server_default=default)


def moment(name: str, required: bool = False) -> sa.Column:  # type: ignore[type-arg]
    return sa.Column(name, sa.DateTime(timezone=True), nullable=not required, server_default=NOW if required else None)


def object_hash(name: str = "object_hash", key: bool = True) -> sa.Column:  # type: ignore[type-arg]
    return sa.Column(name, sa.Text, sa.ForeignKey("object.hash"), primary_key=key)


def upgrade() -> None:
    op.execute("CREATE SEQUENCE id_node")
    create_object_tables()
    create_processing_tables()
    create_upload_tables()
    create_event_tables()


def create_object_tables() -> None:
    op.create_table(
        "object",
        sa.Column("hash", sa.Text, primary_key=True),
        words("extension"),
        words("kind"),
        words("media_type"),
        number("size"),
        number("width", "0"),
        number("height", "0"),
        number("duration", "0"),
        words("codec", ""),
        sa.Column("state", sa.SmallInteger, nullable=False),
        words("reason", ""),
        moment("created_at", required=True),
    )
    op.create_table(
        "upload",
        object_hash(),
        sa.Column("user_id", sa.BigInteger, primary_key=True),
        number("size"),
        moment("created_at", required=True),
    )
    op.create_index("upload_user", "upload", ["user_id", "created_at"])
    op.create_table(
        "object_reference",
        object_hash(),
        sa.Column("video_id", sa.BigInteger, primary_key=True),
        sa.Column("visibility", sa.SmallInteger, nullable=False),
        number("owner_id"),
    )
    op.create_index("object_reference_video", "object_reference", ["video_id"])
    op.create_table(
        "deletion",
        sa.Column("id", sa.BigInteger, primary_key=True),
        words("key"),
        moment("created_at", required=True),
    )


def create_processing_tables() -> None:
    op.create_table(
        "derivative",
        object_hash("source_hash"),
        sa.Column("profile", sa.Text, primary_key=True),
        sa.Column("object_hash", sa.Text, sa.ForeignKey("object.hash"), nullable=False, index=True),
    )
    op.create_table(
        "job",
        object_hash(),
        sa.Column("profile", sa.Text, primary_key=True),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=NOW),
        number("attempts", "0"),
        words("reason", ""),
    )
    op.create_index("job_due", "job", ["due_at"], postgresql_where=sa.text("due_at IS NOT NULL"))


def create_upload_tables() -> None:
    op.create_table(
        "partial_upload",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        number("user_id"),
        number("size"),
        number("received", "0"),
        words("metadata", ""),
        object_hash(key=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("partial_upload_user", "partial_upload", ["user_id"])
    op.create_index("partial_upload_expiry", "partial_upload", ["expires_at"])
    op.create_table(
        "part",
        sa.Column("upload_id", sa.BigInteger, sa.ForeignKey("partial_upload.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("start", sa.BigInteger, primary_key=True),
        number("size"),
        words("key"),
    )
