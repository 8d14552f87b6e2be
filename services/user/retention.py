"""Deletes what is kept for a time only; docs/operating.md lists how long."""

import asyncio

import structlog
from sqlalchemy.exc import SQLAlchemyError

from services.kit.db import Database
from services.user.config import UserSettings
from services.user.exports import links

LOOK_EVERY = 600.0  # seconds

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
    """Deletes all that is old enough, once."""
    async with database.transaction() as connection:
        await links.sweep(connection)
