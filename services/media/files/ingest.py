"""Takes files in: receives, inspects and stores each under its hash, and writes its row last."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import ColumnElement, func, literal_column, select
from sqlalchemy.dialects.postgresql import insert

from services.kit.context import Caller
from services.kit.db import after_commit
from services.kit.sql.connection import AsyncConnection
from services.media.config import MediaSettings
from services.media.errors import (
    FileEmpty,
    FileTooLarge,
    ProbeOverloaded,
    QuotaExceeded,
    StoreUnavailable,
)
from services.media.files import objects, probe, quotas, refusals
from services.media.files.filetypes import AUDIO, DOCUMENT, IMAGE, TYPES, VIDEO, FileType, sniff
from services.media.files.objects import ObjectDetails
from services.media.files.probe import Facts
from services.media.files.unsupported_types import refusal_of
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

PROFILES = ("cover", "playback")  # of the jobs that process a video
ANIMATION = "animation"  # of the job that makes a video of an animated picture, which can be shown before
AT_ONCE, RETRY_SECONDS = 16, 5.0  # uploads of one user
DELETION_WAIT_SECONDS = 5.0  # for a deletion of the same file that has begun
_uploads = Counter[int]()  # under way, by user
Claim = Callable[[AsyncConnection], Awaitable[None]]


async def upload(service: Resources, caller: Caller, chunks: AsyncIterator[bytes], announced: int = 0) -> ObjectDetails:
    """Stores a file for the caller. `announced`: its size in bytes, 0 if unknown.

    Raises ProbeOverloaded, FileEmpty, FileTooLarge, FileTypeRefused, FileBroken, QuotaExceeded, StorageExceeded,
    StoreUnavailable.
    """
    with _under_way(caller.user_id):
        return await _upload(service, caller, chunks, announced)


@contextmanager
def _under_way(user_id: int) -> Iterator[None]:
    """Bounds the uploads of one user at a time in this process, before anything is done for a further one."""
    if _uploads[user_id] >= AT_ONCE:
        raise ProbeOverloaded(retry_after=RETRY_SECONDS)
    _uploads[user_id] += 1
    try:
        yield
    finally:
        _uploads[user_id] -= 1
        if not _uploads[user_id]:
            del _uploads[user_id]


async def _upload(service: Resources, caller: Caller, chunks: AsyncIterator[bytes], announced: int) -> ObjectDetails:
    await _require_allowance(service, caller.user_id, announced)
    async with service.storage.spooling() as spool:
        try:
            file = await receive(service.settings, spool, chunks)
            known = await _find(service, file.hash)
            facts = known or await probe.probe(service.settings, file.path, _require_type(file.head))
        except refusals.COUNTED:
            probe.set_apart(caller.user_id)
            await refusals.count_refusal(service.redis, caller.user_id, spool.size)
            raise
        if facts.changed:
            file = await measure(file.path)

        async def own(connection: AsyncConnection) -> None:
            await _own(connection, service.settings, caller, file)
            if facts.type.kind == IMAGE and facts.duration:
                animate = insert(Job).values(object_hash=file.hash, profile=ANIMATION)
                await connection.execute(animate.on_conflict_do_nothing())
                after_commit(connection, service.job_ready.set)

        return await store(service, file, facts, own, PROFILES if facts.type.kind == VIDEO else (), adopt=True)


async def _require_allowance(service: Resources, user_id: int, announced: int) -> None:
    """Raises QuotaExceeded, StorageExceeded."""
    refused = await refusals.refused_today(service.redis, user_id)
    if refused.files >= service.settings.daily_refusals:
        raise QuotaExceeded
    async with service.database.transaction() as connection:
        await quotas.require_quota(connection, service.settings, user_id, max(announced, 1) + refused.bytes)


async def receive(settings: MediaSettings, spool: Spool, chunks: AsyncIterator[bytes]) -> LocalFile:
    """Writes the chunks to the spool. Stops at the size limit of the file's kind, or as soon as its type is refused."""
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
        raise refusal_of(head)
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


async def store(
    service: Resources,
    file: LocalFile,
    facts: Facts,
    claim: Claim,
    profiles: Sequence[str] = (),
    adopt: bool = False,
) -> ObjectDetails:
    """Puts the file into the store, then writes its row.

    `claim` runs in the transaction that writes the row, and must tie the object to what uses it. A new object gets a
    job for each of `profiles`. If the same file is about to be deleted, waits for that before it puts it: a deletion
    that ended between the putting and the row would go unseen. `adopt`: the file is not written to again.
    """
    deadline = asyncio.get_running_loop().time() + DELETION_WAIT_SECONDS
    details = await _record(service, file, facts, claim, None)
    while details is None:
        key = key_of(f"{file.hash}.{facts.type.extension}")
        await _until_deleted(service, key, deadline)
        await service.storage.put(key, file.path, facts.type.media_type, facts.type.kind == DOCUMENT, adopt)
        details = await _record(service, file, facts, claim, profiles)
    if profiles:
        service.job_ready.set()
    return details


async def _until_deleted(service: Resources, key: str, deadline: float) -> None:
    while True:
        async with service.database.transaction() as connection:
            if not await _is_doomed(connection, key):
                return
        if asyncio.get_running_loop().time() > deadline:
            raise StoreUnavailable("the same file is being deleted")
        await asyncio.sleep(0.1)


async def _is_doomed(connection: AsyncConnection, key: str) -> bool:
    query = select(Deletion.id).where(Deletion.key == key).limit(1)
    return (await connection.execute(query)).one_or_none() is not None


async def _record(
    service: Resources, file: LocalFile, facts: Facts, claim: Claim, profiles: Sequence[str] | None
) -> ObjectDetails | None:
    """Writes the rows of an object that is in the store.

    Returns None if the file is about to be deleted, or if `profiles` is None and the object is new.
    """
    async with service.database.transaction() as connection:
        await lock_object(connection, file.hash)
        known = (await connection.execute(select(Object.hash).where(Object.hash == file.hash))).one_or_none()
        if known is None:
            key = key_of(f"{file.hash}.{facts.type.extension}")
            if profiles is None or await _is_doomed(connection, key):
                return None
            await _create(connection, file, facts, profiles)
        await claim(connection)
        return await objects.get(connection, file.hash)


async def lock_object(connection: AsyncConnection, hash: str) -> None:
    """Creating and deleting an object exclude each other, until the end of the transaction."""
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
    """Ties the object to its uploader. Uploading it again makes it no larger, but keeps it for longer."""
    await quotas.lock_user(connection, caller.user_id)
    row = insert(Upload).values(object_hash=file.hash, user_id=caller.user_id, size=file.size)
    again = row.on_conflict_do_update(index_elements=["object_hash", "user_id"], set_={"renewed_at": func.now()})
    is_new: ColumnElement[bool] = literal_column("xmax = 0")  # inserted: an update would have set xmax
    if (await connection.execute(again.returning(is_new))).scalar_one():
        await quotas.require_quota(connection, settings, caller.user_id)
