"""The parts of the running chat service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nats.aio.client import Client as Nats

from protos.media.v1 import objects_pb2
from protos.social.v1 import friends_pb2, groups_pb2
from services.chat import search_words
from services.chat.away.away import Away, pushing
from services.chat.config import SERVICE, ChatSettings
from services.chat.membership.directory import ConversationDirectory
from services.chat.membership.permissions import Permissions
from services.chat.membership.refresh import MembershipRefresh
from services.chat.presence import Presence
from services.chat.push.outbox import Publisher, publishing
from services.chat.sending.attachments import Attachments
from services.chat.sending.edits import Edits
from services.chat.sending.group_commit import committing
from services.chat.sending.insert import write
from services.chat.sending.sending import Sending
from services.chat.tickets import Tickets
from services.kit import background
from services.kit.db import Database, next_node, open_database
from services.kit.events.relay import relaying
from services.kit.events.stream import LOST
from services.kit.ids import IdGenerator
from services.kit.nats import open_nats
from services.kit.rpc.channel import open_channel
from services.kit.schema import require_current
from services.valkey.client import open_redis

MIGRATIONS = Path(__file__).parent / "migrations"
SOCIAL = (friends_pb2.DESCRIPTOR, groups_pb2.DESCRIPTOR)
MEDIA = (objects_pb2.DESCRIPTOR,)


@dataclass(frozen=True, slots=True)
class Service:
    settings: ChatSettings
    database: Database
    nats: Nats
    new_id: IdGenerator
    publisher: Publisher
    permissions: Permissions
    directory: ConversationDirectory
    membership: MembershipRefresh
    attachments: Attachments
    sending: Sending
    edits: Edits
    tickets: Tickets
    presence: Presence
    away: Away


@asynccontextmanager
async def open_service(settings: ChatSettings) -> AsyncIterator[Service]:
    """Waits for Postgres; Valkey, NATS and the other services may come and go."""
    async with (
        open_database(settings) as database,
        open_redis(settings.redis_url) as redis,
        open_nats(settings.nats_url, SERVICE) as nats,
        open_channel(settings.social_target, settings, SOCIAL) as social,
        open_channel(settings.media_target, settings, MEDIA) as media,
    ):
        await require_current(database, MIGRATIONS)
        async with database.transaction() as connection:
            new_id = IdGenerator(await next_node(connection))
        permissions, attachments = Permissions(settings, social, nats), Attachments(media)
        async with (
            relaying(
                database, nats, SERVICE, settings.postgres_direct_url or settings.postgres_url, settings.outbox_days
            ),
            publishing(database, nats) as publisher,
        ):
            directory = ConversationDirectory(database, publisher, social, new_id)
            presence = Presence(database, redis, publisher, permissions, settings.presence_seconds)
            write_messages = partial(write, database, publisher, new_id)
            async with (
                committing(write_messages, settings.writers, settings.max_waiting) as group_commit,
                pushing(settings, database, publisher, presence.online_among) as away,
                background.run(
                    drop_permissions=permissions.listen,
                    sweep_presence=presence.sweep,
                    renew_words=lambda: search_words.run(database),
                ),
            ):
                yield Service(
                    settings=settings,
                    database=database,
                    nats=nats,
                    new_id=new_id,
                    publisher=publisher,
                    permissions=permissions,
                    directory=directory,
                    membership=MembershipRefresh(database, publisher, permissions, directory),
                    attachments=attachments,
                    sending=Sending(database, permissions, attachments, directory, group_commit),
                    edits=Edits(publisher, settings.edit_seconds),
                    tickets=Tickets(settings, redis),
                    presence=presence,
                    away=away,
                )
            with suppress(*LOST):
                await presence.save_seen()
