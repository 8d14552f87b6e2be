"""Opens the resources of the user service: its database, Valkey, NATS, and the relay of its events."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from services.kit.db import Database, next_node, open_database
from services.kit.events.relay import relaying
from services.kit.ids import IdGenerator
from services.kit.nats import open_nats
from services.kit.schema import require_current
from services.user.config import SERVICE, UserSettings
from services.user.proofs.codes import Codes
from services.user.proofs.encryption import Cipher
from services.user.proofs.mail import Mailer
from services.user.proofs.passwords import Passwords
from services.user.proofs.sms import SmsSender
from services.valkey.client import open_redis

MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(frozen=True, slots=True)
class Service:
    settings: UserSettings
    database: Database
    codes: Codes
    mailer: Mailer
    sms: SmsSender
    passwords: Passwords
    cipher: Cipher  # of the second factors
    new_id: IdGenerator
    email_replaced: asyncio.Event = field(default_factory=asyncio.Event)  # wakes those who mail the old addresses


def cipher_of(settings: UserSettings) -> Cipher:
    """What was encrypted before a secret of its own was set is read with the internal one."""
    newest_first = (settings.second_factor_secret, settings.internal_secret, settings.old_second_factor_secret)
    return Cipher("second factor", *newest_first)


@asynccontextmanager
async def open_service(settings: UserSettings) -> AsyncIterator[Service]:
    """Waits for Postgres; Valkey and NATS may come and go."""
    mailer, sms = Mailer(settings), SmsSender(settings)
    async with (
        open_database(settings) as database,
        open_redis(settings.redis_url) as redis,
        open_nats(settings.nats_url, SERVICE) as nats,
    ):
        await require_current(database, MIGRATIONS)
        async with database.transaction() as connection:
            new_id = IdGenerator(await next_node(connection))
        passwords = Passwords(settings.bcrypt_cost, settings.bcrypt_threads)
        try:
            async with relaying(
                database, nats, SERVICE, settings.postgres_direct_url or settings.postgres_url, settings.outbox_days
            ):
                codes = Codes(redis, settings.internal_secret)
                yield Service(settings, database, codes, mailer, sms, passwords, cipher_of(settings), new_id)
        finally:
            passwords.close()
