"""Deletes what nobody needs any more from a service's outbox and inbox, also while the service is busy."""

import asyncio
from contextlib import suppress

from sqlalchemy import text

from services.kit.db import Database
from services.kit.events.stream import LOST, STREAM_DAYS

INTERVAL = 60.0  # seconds between two looks
MAX_ROWS = 5_000  # deleted by one transaction

OUTBOX = """DELETE FROM outbox WHERE id IN (SELECT id FROM outbox
 WHERE published_at < now() - make_interval(days => :days) LIMIT :rows FOR UPDATE SKIP LOCKED)"""
INBOX = """DELETE FROM inbox WHERE (consumer, event) IN (SELECT consumer, event FROM inbox
 WHERE handled_at < now() - make_interval(days => :days) LIMIT :rows FOR UPDATE SKIP LOCKED)"""


async def prune(database: Database, outbox_days: int) -> None:
    """Runs until cancelled. Replicas share the work.

    The inbox keeps an event for as long as it may be delivered again: while the stream has it, or while a stream may be
    made anew from the outbox (docs/adr/0010-a-backup-leaves-the-stream-out.md).
    """
    while True:
        with suppress(*LOST):  # PostgreSQL is away: the next look finds the same rows
            await prune_table(database, OUTBOX, outbox_days)
            await prune_table(database, INBOX, outbox_days + STREAM_DAYS)
        await asyncio.sleep(INTERVAL)


async def prune_table(database: Database, statement: str, days: int) -> int:
    """The number of rows that were deleted."""
    total, deleted = 0, MAX_ROWS
    while deleted == MAX_ROWS:
        async with database.transaction() as connection:
            deleted = (await connection.execute(text(statement), {"days": days, "rows": MAX_ROWS})).rowcount
        total += deleted
    return total
