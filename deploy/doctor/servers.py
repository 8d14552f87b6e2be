"""Checks PostgreSQL, Valkey, NATS and the object store by using each briefly. Leaves nothing behind."""

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import nats
import obstore
import psycopg
from nats.aio.client import Client as NatsClient
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from obstore.exceptions import BaseError
from redis.exceptions import RedisError

from deploy.database_services import DATABASE_SERVICES
from deploy.doctor.checks import CheckContext, Concern, Fault
from deploy.doctor.machine import clock_concern
from services.kit.config import ConfigError
from services.kit.db import Database
from services.kit.events.stream import STREAM
from services.kit.schema import require_current
from services.media.config import MediaSettings
from services.objectstore.store import open_store
from services.valkey.client import open_redis

CONNECT_SECONDS = 5
OLD_SECONDS = 60  # an event that waits longer is stuck
UNHEALTHY = """
    SELECT (SELECT extract(epoch FROM now() - min(occurred_at))::bigint FROM outbox WHERE published_at IS NULL),
    (SELECT count(*) FROM dead_letter), extract(epoch FROM clock_timestamp())::float"""
LAST_BACKUP = "SELECT extract(epoch FROM now() - max(began_at))::float FROM backup"
BACKUP_HOURS = 26  # as in the alert BackupOld


def check_postgres(name: str) -> Callable[[CheckContext], Awaitable[str]]:
    async def check(context: CheckContext) -> str:
        url, setting = context.service(name).postgres_url, f"HITOK_{name.upper()}_POSTGRES_URL"
        try:
            async with await psycopg.AsyncConnection.connect(url, connect_timeout=CONNECT_SECONDS) as connection:
                version = connection.info.server_version // 10_000
                await _check_schema(name, url)
                row: Any = await (await connection.execute(UNHEALTHY)).fetchone()
        except psycopg.OperationalError as error:
            raise Fault(f"{str(error).strip().splitlines()[0]}. Is it up, and {setting} right?") from None
        waiting, dead, concern = row[0] or 0, row[1], clock_concern("PostgreSQL", row[2] - time.time())
        if waiting > OLD_SECONDS:
            raise Fault(f"events have waited for {waiting} s to be published. Does the {name} service run, and NATS?")
        if dead:
            raise Concern(f"{dead} events failed for good; see the table dead_letter for the reasons")
        if concern:
            raise Concern(concern)
        return f"PostgreSQL {version}, schema current"

    return check


async def check_backup(context: CheckContext) -> str:
    """By the time that deploy.backup writes into the media service's database."""
    url = context.service("media").postgres_url
    async with await psycopg.AsyncConnection.connect(url, connect_timeout=CONNECT_SECONDS) as connection:
        row: Any = await (await connection.execute(LAST_BACKUP)).fetchone()
    if row[0] is None:
        if context.deployment.local:
            return "none yet; `make backup` makes one"
        raise Concern("none was ever made. Have `python -m deploy.backup create` run each night (docs/operating.md)")
    hours = row[0] / 3_600
    if hours > BACKUP_HOURS:
        raise Concern(
            f"the last one is {hours:.0f} h old. Look at what the job of `python -m deploy.backup create` says"
        )
    return f"the last one is {hours:.0f} h old"


async def _check_schema(name: str, url: str) -> None:
    database = Database(url)
    try:
        await require_current(database, DATABASE_SERVICES[name].migrations)
    except ConfigError as error:
        raise Fault(f"{error} (python -m services.{name} migrate)") from None
    finally:
        database.pool.close()


async def check_valkey(context: CheckContext) -> str:
    key = f"doctor:{secrets.token_hex(8)}"
    async with open_redis(context.settings["user"].redis_url, connections=1) as redis:
        try:
            await redis.set(key, "x", px=10_000)
            kept = await redis.getdel(key)
            server = await redis.info("server")
        except (RedisError, OSError, TimeoutError) as error:
            raise Fault(f"{_first_line(error)}. Is it up, and HITOK_REDIS_URL right?") from None
    if kept != b"x":
        raise Fault("it does not keep what is written to it. Is its memory full?")
    return describe_version(server)


def describe_version(server: Mapping[str, Any]) -> str:
    """Valkey reports as `redis_version` the Redis that it is compatible with: 7.2.4 for all of its versions."""
    if "valkey_version" in server:
        return f"Valkey {server['valkey_version']}"
    return f"Redis {server.get('redis_version', '?')}"


async def check_nats(context: CheckContext) -> str:
    client = await _connect_nats(context.settings["user"].nats_url)
    try:
        jetstream = client.jetstream(timeout=CONNECT_SECONDS)
        stream = await jetstream.stream_info(STREAM)
        await _check_stored(jetstream)
        return f"JetStream with {stream.state.messages} events, {stream.state.consumer_count} consumers"
    except NotFoundError:
        raise Fault(f"there is no stream {STREAM}: the services make it when they start. Do they run?") from None
    except (NatsError, TimeoutError) as error:
        raise Fault(f"JetStream does not answer ({_first_line(error)}). Start nats-server with --jetstream") from None
    finally:
        await client.close()


async def _check_stored(jetstream: JetStreamContext) -> None:
    """Publishes an event that no consumer asks for: after a full disk a stream answers, but stores nothing."""
    try:
        stored = await jetstream.publish("events.doctor.event.checked", b"{}", stream=STREAM)
    except (NatsError, TimeoutError) as error:
        raise Fault(f"the stream {STREAM} stores nothing ({_first_line(error)}). Is the disk of NATS full?") from None
    await jetstream.delete_msg(STREAM, stored.seq)


async def _connect_nats(url: str) -> NatsClient:
    """Tries once; by default the client tries for minutes."""
    errors: list[Exception] = []

    async def note(error: Exception) -> None:
        errors.append(error)

    options = {"allow_reconnect": False, "max_reconnect_attempts": 1, "reconnect_time_wait": 0}
    try:
        return await nats.connect(url.split(","), connect_timeout=CONNECT_SECONDS, error_cb=note, **options)
    except (NatsError, OSError, TimeoutError) as error:
        reason = _first_line([error, *errors][-1])
        raise Fault(f"{reason}. Is it up, and HITOK_NATS_URL right?") from None


async def check_store(context: CheckContext) -> str:
    """Uses the media service's settings, and the credentials of this environment."""
    settings = context.settings["media"]
    assert isinstance(settings, MediaSettings)
    where = settings.media_url.partition("?")[0] or f"{settings.var}/media"
    store, key, data = (
        open_store(settings.media_url, settings.var),
        f"doctor/{secrets.token_hex(8)}",
        secrets.token_bytes(64),
    )
    try:
        await obstore.put_async(store, key, data)
        try:
            part = await obstore.get_range_async(store, key, start=8, end=24)
        finally:
            await obstore.delete_async(store, key)
    except (BaseError, OSError) as error:
        raise Fault(
            f"{where}: {_first_line(error)}. Does it exist, is it writable, is there room? See HITOK_MEDIA_URL"
        ) from None
    if bytes(part) != data[8:24]:
        raise Fault(f"{where} returns other bytes than were written")
    return where


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
