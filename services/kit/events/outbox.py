"""The event tables of a service's own database, and writing an event to its outbox."""

from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Index, MetaData, Table, Text, UniqueConstraint, func, insert, text
from sqlalchemy.dialects.postgresql import JSONB

from services.kit import telemetry
from services.kit.sql.connection import AsyncConnection

CHANNEL = "outbox"  # the NOTIFY channel of the outbox's insert trigger


def event_tables(metadata: MetaData) -> tuple[Table, Table, Table]:
    """Defines the tables outbox, inbox and dead_letter, which every service has in its own database."""
    outbox = Table(
        "outbox",
        metadata,
        Column("id", BigInteger, primary_key=True, autoincrement=True),
        Column("subject", Text, nullable=False),
        Column("aggregate", Text, nullable=False),
        Column("data", JSONB, nullable=False),
        Column("occurred_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("published_at", DateTime(timezone=True)),
        Column("trace", Text, default=lambda: telemetry.here() or None),
        Index("outbox_unpublished", "id", postgresql_where=text("published_at IS NULL")),
        Index("outbox_published", "published_at", postgresql_where=text("published_at IS NOT NULL")),
    )
    inbox = Table(
        "inbox",
        metadata,
        Column("consumer", Text, primary_key=True),
        Column("event", Text, primary_key=True),
        Column("handled_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Index("inbox_handled", "handled_at"),
    )
    dead_letter = Table(
        "dead_letter",
        metadata,
        Column("id", BigInteger, primary_key=True, autoincrement=True),
        Column("consumer", Text, nullable=False),
        Column("event", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("data", Text, nullable=False),
        Column("error", Text, nullable=False),
        Column("died_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        UniqueConstraint("consumer", "event"),
    )
    return outbox, inbox, dead_letter


OUTBOX, INBOX, DEAD_LETTER = event_tables(MetaData())


async def emit(connection: AsyncConnection, subject: str, aggregate: str, **data: Any) -> None:
    """Writes an event in the caller's transaction. Lock the aggregate's row first: the lock orders its events."""
    await connection.execute(insert(OUTBOX).values(subject=f"events.{subject}", aggregate=aggregate, data=data))
