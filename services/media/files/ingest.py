"""Taking files in: received, looked at, stored under their hash, and only then written down."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit.context import Caller
from services.media.config import MediaSettings
from services.media.errors import (
    FileEmpty,
    FileTooLarge,
    FileTypeRefused,
    QuotaExceeded,
    StoreUnavailable,
)
from services.media.files import objects, probe
from services.media.files.filetypes import AUDIO, DOCUMENT, IMAGE, TYPES, VIDEO, FileType, sniff
from services.media.files.objects import View
from services.media.files.probe import Facts
from services.media.models import (
    PROCESSING,
    READY,
    Deletion,
    Job,
    Object,
    Upload,
)
from services.media.resources import Resources
from services.media.storage import HEAD, LocalFile, Spool, measure
from services.objectstore.store import key_of

PROFILES = ("cover", "playback")  # what is made of a video
DELETION_WAIT = 5.0  # seconds for a deletion under way of the same file
DAY = text("interval '24 hours'")
Claim = Callable[[AsyncConnection], Awaitable[None]]


async def upload(service: Resources, caller: Caller, chunks: AsyncIterator[bytes], announced: int = 0) -> View:
    """Raises FileEmpty, FileTooLarge, FileTypeRefused, FileBroken, QuotaExceeded, StoreUnavailable."""
    await require_quota(service, caller, announced)
    async with service.storage.spooling() as spool:
        file = await receive(service.settings, spool, chunks)
        known = await _find(service, file.hash)
        facts = known or await probe.probe(service.settings, file.path, _require_type(file.head))
        if facts.changed:
            file = await measure(file.path)

        async def own(connection: AsyncConnection) -> None:
            await _own(connection, service.settings, caller, file)

        return await store(service, file, facts, own, PROFILES if facts.type.kind == VIDEO else ())


async def receive(settings: MediaSettings, spool: Spool, chunks: AsyncIterator[bytes]) -> LocalFile:
    """Into the spool, no more than the largest file of its kind; what we do not take at all is known at once."""
    limit = 0
    async for chunk in chunks:
        await spool.write(chunk)
        if not limit and len(spool.head) >= HEAD:
            limit = max_bytes(settings, _require_type(spool.head))
        if limit and spool.size > limit:
            raise FileTooLarge
    if not spool.size:
        raise FileEmpty
    if spool.size > max_bytes(settings, _require_type(spool.head)):
        raise FileTooLarge
    return await spool.finish()


def _require_type(head: bytes) -> FileType:
    type = sniff(head)
    if type is None:
        raise FileTypeRefused
    return type


def max_bytes(settings: MediaSettings, type: FileType) -> int:
    return {
        IMAGE: settings.max_image_bytes,
        VIDEO: settings.max_video_bytes,
        AUDIO: settings.max_audio_bytes,
        DOCUMENT: settings.max_document_bytes,
    }[type.kind]


async def _find(service: Resources, hash: str) -> Facts | None:
    async with service.database.transaction() as connection:
        row = (await connection.execute(select(Object.__table__).where(Object.hash == hash))).one_or_none()
    return Facts(TYPES[row.extension], row.width, row.height, row.duration, row.codec) if row else None


async def store(service: Resources, file: LocalFile, facts: Facts, claim: Claim, profiles: Sequence[str] = ()) -> View:
    """Object first, row second; `claim` says in the same transaction what it is for, and a new one gets `profiles`
    to be made. A deletion of the same file that has begun is waited for, then it is put anew.
    """
    deadline = asyncio.get_running_loop().time() + DELETION_WAIT
    view = await _record(service, file, facts, claim, None)
    while view is None:
        key = key_of(f"{file.hash}.{facts.type.extension}")
        await service.storage.put(key, file.path, facts.type.media_type, facts.type.kind == DOCUMENT)
        view = await _record(service, file, facts, claim, profiles)
        if view is None:
            if asyncio.get_running_loop().time() > deadline:
                raise StoreUnavailable("the same file is being deleted")
            await asyncio.sleep(0.1)
    if profiles:
        service.job_ready.set()
    return view


async def _record(
    service: Resources, file: LocalFile, facts: Facts, claim: Claim, profiles: Sequence[str] | None
) -> View | None:
    """The rows of an object that is in the store. None if it is about to be deleted, and if it is not known yet
    and `profiles` is None."""
    async with service.database.transaction() as connection:
        await lock_object(connection, file.hash)
        known = (await connection.execute(select(Object.hash).where(Object.hash == file.hash))).one_or_none()
        if known is None:
            key = key_of(f"{file.hash}.{facts.type.extension}")
            doomed = (await connection.execute(select(Deletion.id).where(Deletion.key == key).limit(1))).one_or_none()
            if doomed or profiles is None:
                return None
            await _create(connection, file, facts, profiles)
        await claim(connection)
        return await objects.get(connection, file.hash)


async def lock_object(connection: AsyncConnection, hash: str) -> None:
    """Those who create and delete an object take turns."""
    await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(hash, 0))))


async def _create(connection: AsyncConnection, file: LocalFile, facts: Facts, profiles: Sequence[str]) -> None:
    values: dict[str, Any] = {
        "hash": file.hash,
        "extension": facts.type.extension,
        "kind": facts.type.kind,
        "media_type": facts.type.media_type,
        "size": file.size,
        "state": PROCESSING if profiles else READY,
        **{name: getattr(facts, name) for name in ("width", "height", "duration", "codec", "blurhash")},
    }
    await connection.execute(insert(Object).values(values))
    if profiles:
        jobs = [{"object_hash": file.hash, "profile": profile} for profile in profiles]
        await connection.execute(insert(Job).values(jobs))


async def _own(connection: AsyncConnection, settings: MediaSettings, caller: Caller, file: LocalFile) -> None:
    await lock_user(connection, caller.user_id)
    row = insert(Upload).values(object_hash=file.hash, user_id=caller.user_id, size=file.size)
    fresh = (await connection.execute(row.on_conflict_do_nothing().returning(Upload.size))).one_or_none()
    if fresh and await uploaded_today(connection, caller.user_id) > settings.daily_bytes:
        raise QuotaExceeded


async def require_quota(service: Resources, caller: Caller, size: int) -> None:
    """Raises QuotaExceeded if `size` bytes more are too many."""
    async with service.database.transaction() as connection:
        if await uploaded_today(connection, caller.user_id) + max(size, 1) > service.settings.daily_bytes:
            raise QuotaExceeded


async def lock_user(connection: AsyncConnection, user_id: int) -> None:
    """One's uploads are counted in turn."""
    await connection.execute(select(func.pg_advisory_xact_lock(user_id)))


async def uploaded_today(connection: AsyncConnection, user_id: int) -> int:
    total = select(func.coalesce(func.sum(Upload.size), 0))
    query = total.where(Upload.user_id == user_id, Upload.created_at > func.now() - DAY)
    return int((await connection.execute(query)).scalar_one())
