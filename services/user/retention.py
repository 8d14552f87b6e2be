"""Deletes what is kept for a time only; docs/operating.md lists how long."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from services.kit.db import Database
from services.kit.sql.connection import AsyncConnection
from services.user.audit import entries
from services.user.config import UserSettings
from services.user.exports import links
from services.user.moderation import retention as cases

LOOK_EVERY = 600.0  # seconds
SweepBatch = Callable[[AsyncConnection, timedelta], Awaitable[int]]  # the number that it deleted

log = structlog.get_logger("retention")


async def sweep_old(database: Database, settings: UserSettings) -> None:
    """Runs in the background for ever."""
    while True:
        try:
            await sweep(database, settings)
        except SQLAlchemyError as error:
            log.warning("sweep failed", error=repr(error)[:200])
        await asyncio.sleep(LOOK_EVERY)


async def sweep(database: Database, settings: UserSettings) -> None:
    """Deletes all that is old enough, once, in small transactions."""
    async with database.transaction() as connection:
        await links.sweep(connection)
    await _sweep_batches(database, cases.sweep, timedelta(days=settings.case_days), cases.BATCH)
    await _sweep_batches(database, entries.sweep, timedelta(days=settings.audit_days), entries.BATCH)


async def _sweep_batches(database: Database, sweep_batch: SweepBatch, keep: timedelta, batch: int) -> None:
    deleted = batch
    while deleted == batch:
        async with database.transaction() as connection:
            deleted = await sweep_batch(connection, keep)
