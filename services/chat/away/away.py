"""Pushes to users who are away: none of their devices acknowledged a message in time (docs/push.md)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from services.chat.away.configuration import Drivers, open_drivers
from services.chat.away.recorder import Recorder
from services.chat.away.worker import Online, Worker
from services.chat.config import ChatSettings
from services.chat.push.outbox import Publisher
from services.kit import background
from services.kit.db import Database


class Away(NamedTuple):
    drivers: Drivers
    recorder: Recorder
    worker: Worker


@asynccontextmanager
async def pushing(
    settings: ChatSettings, database: Database, publisher: Publisher, online: Online
) -> AsyncIterator[Away]:
    """Pushes to devices while the block runs. Raises ConfigError."""
    delay, ttl = settings.push_delay_seconds, settings.push_ttl_seconds
    async with open_drivers(settings) as drivers:
        recorder = Recorder(database, delay)
        worker = Worker(database, drivers, recorder, online, delay, ttl)
        publisher.listener = recorder.record
        async with background.run(note_away=recorder.run, plan_away=worker.look, send_away=worker.send):
            yield Away(drivers, recorder, worker)
