"""The resources that all rooms of the media service share."""

import asyncio
from dataclasses import dataclass, field

from nats.aio.client import Client as Nats
from redis.asyncio import Redis

from services.kit.db import Database
from services.kit.ids import IdGenerator
from services.media.config import MediaSettings
from services.media.signing import Signer
from services.media.storage import Storage


@dataclass(frozen=True, slots=True)
class Resources:
    """Opened by service.py; open for as long as the process serves."""

    settings: MediaSettings
    database: Database
    sessions: Database  # past PgBouncer: for locks of a session
    nats: Nats
    redis: Redis
    storage: Storage
    signer: Signer
    new_id: IdGenerator
    job_ready: asyncio.Event = field(default_factory=asyncio.Event)  # wakes this process's workers
    deletion_queued: asyncio.Event = field(default_factory=asyncio.Event)  # wakes the sweeper
    pushing: asyncio.Lock = field(default_factory=asyncio.Lock)  # keeps the order of what uploaders are told
