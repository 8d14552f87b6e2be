"""Events of other services that the media service acts on: friendships, blocks, deleted accounts, and what moderators
decide."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import groupby

from services.kit import background
from services.kit.db import after_commit
from services.kit.events.consumer import consume, consume_batches
from services.kit.nats import Event
from services.kit.sql.connection import AsyncConnection
from services.media.config import SERVICE
from services.media.relationships import projection
from services.media.resources import Resources
from services.media.videos import account_erasure, moderation
from services.media.videos.account_erasure import AccountEraser
from services.media.videos.commenting.pins import unpin_blocked

CONSUMER = f"{SERVICE}-people"
MODERATION = f"{SERVICE}-moderation"  # of its own, so that it never waits behind a flood of the others
ACCOUNT_DELETED = "events.user.account.deleted"
SUBJECTS = [*projection.SUBJECTS, ACCOUNT_DELETED]


@asynccontextmanager
async def consuming(service: Resources) -> AsyncIterator[None]:
    """Handles events and erases deleted accounts while the block runs."""
    eraser = AccountEraser(service)
    database, nats = service.database, service.nats
    async with background.run(
        consume=lambda: _consume(service, eraser),
        consume_moderation=lambda: consume(database, nats, MODERATION, moderation.SUBJECTS, moderation.apply_event),
        erase_accounts=eraser.run,
    ):
        yield


async def _consume(service: Resources, eraser: AccountEraser) -> None:
    async def handle(connection: AsyncConnection, events: Sequence[Event]) -> None:
        for deleted, run in groupby(events, lambda event: event.subject == ACCOUNT_DELETED):
            if not deleted:
                related = list(run)
                await projection.apply_events(connection, related)
                await unpin_blocked(connection, related)
                continue
            for event in run:
                user_id = int(event.data["user_id"])
                await projection.delete_user(connection, user_id)
                await account_erasure.schedule(connection, user_id)
            after_commit(connection, eraser.wake)

    await consume_batches(service.database, service.nats, CONSUMER, SUBJECTS, handle)
