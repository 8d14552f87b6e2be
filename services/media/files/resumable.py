"""Resumable uploads (tus 1.0). Each has a row with its offset, and parts in the store."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy import delete as delete_from

from services.kit.context import Caller
from services.kit.errors import Invalid
from services.kit.sql.connection import AsyncConnection
from services.media.config import MIB, MediaSettings
from services.media.errors import (
    FileEmpty,
    OffsetMismatch,
    QuotaExceeded,
    UploadFinished,
    UploadNotFound,
    UploadOverrun,
    UploadTooLarge,
)
from services.media.files import deletions, ingest, objects, quotas
from services.media.files.checksums import Checksum
from services.media.files.objects import ObjectDetails
from services.media.models import Part, PartialUpload
from services.media.resources import Resources

PART = 4 * MIB  # received bytes are stored in parts of this size, and when the stream ends
MAX_OPEN = 20  # unfinished uploads per user

Upload = Row[Any]


async def create(
    connection: AsyncConnection, settings: MediaSettings, caller: Caller, upload_id: int, size: int, metadata: str
) -> Upload:
    """Raises FileEmpty, UploadTooLarge, QuotaExceeded, StorageExceeded."""
    if size <= 0:
        raise FileEmpty
    if size > max(settings.max_video_bytes, settings.max_audio_bytes, settings.max_image_bytes):
        raise UploadTooLarge
    await quotas.lock_user(connection, caller.user_id)
    mine = select(func.count(), func.coalesce(func.sum(PartialUpload.size), 0)).where(
        PartialUpload.user_id == caller.user_id,
        PartialUpload.object_hash.is_(None),
        PartialUpload.expires_at > func.now(),
    )
    count, pending = (await connection.execute(mine)).one()
    if count >= MAX_OPEN:
        raise QuotaExceeded
    await quotas.require_quota(connection, settings, caller.user_id, pending + size)
    values = {"id": upload_id, "user_id": caller.user_id, "size": size, "metadata": metadata}
    row = insert(PartialUpload).values(values | {"expires_at": _expiry(settings)})
    created: Upload = (await connection.execute(row.returning(*PartialUpload.__table__.columns))).one()
    return created


async def get(service: Resources, caller: Caller, upload_id: int) -> tuple[Upload, ObjectDetails | None]:
    """Returns the upload, and its object once it is finished.

    Finishes an upload that has all its bytes but was interrupted before it was finished. Raises UploadNotFound, and
    what `append` raises when it finishes one.
    """
    async with service.database.transaction() as connection:
        row = await _find(connection, caller, upload_id)
        details = await objects.get(connection, row.object_hash) if row.object_hash else None
    if details is None and row.received == row.size:
        details = await _finish(service, caller, row)
    return row, details


async def append(
    service: Resources, caller: Caller, upload_id: int, offset: int, checksum: str, chunks: AsyncIterator[bytes]
) -> tuple[Upload, ObjectDetails | None]:
    """Adds the chunks at `offset`. The last byte finishes the upload; so does an empty append to a complete upload.

    Raises UploadNotFound, UploadFinished, OffsetMismatch, UploadOverrun, ChecksumAlgorithmInvalid, ChecksumMismatch,
    and what ingest.upload raises when it finishes the upload. A refused file is deleted with its upload.
    """
    sum = Checksum(checksum) if checksum else None
    async with service.database.transaction() as connection:
        row = await _find(connection, caller, upload_id)
    if row.object_hash:
        raise UploadFinished
    if row.received != offset:
        raise OffsetMismatch
    receiver = _Receiver(service, row, sum)
    try:
        await receiver.receive(chunks)
    except asyncio.CancelledError:
        await asyncio.shield(asyncio.create_task(receiver.salvage()))
        raise
    return await get(service, caller, upload_id)


class _Receiver:
    """One append. Parts go to the store as they fill up; with a checksum, their rows wait until it is verified."""

    def __init__(self, service: Resources, row: Upload, sum: Checksum | None) -> None:
        self._service, self._row, self._sum = service, row, sum
        self._at: int = row.received
        self._buffer = bytearray()
        self._held: list[dict[str, Any]] = []

    async def receive(self, chunks: AsyncIterator[bytes]) -> None:
        try:
            async for chunk in chunks:
                if self._at + len(self._buffer) + len(chunk) > self._row.size:
                    raise UploadOverrun
                self._buffer += chunk
                if self._sum:
                    self._sum.update(chunk)
                if len(self._buffer) >= PART:
                    await self._put()
            if self._sum:
                self._sum.check()
            await self._put()
            await self._keep()
        except Exception:
            await self._discard()
            raise

    async def salvage(self) -> None:
        """Keeps what came before the sender disconnected, unless a checksum covers all of it."""
        if self._sum:
            await self._discard()
        else:
            await self._put()

    async def _put(self) -> None:
        if not self._buffer:
            return
        data, self._buffer = bytes(self._buffer), bytearray()
        key = f"partial/{self._row.id}/{self._at:016}-{secrets.token_hex(4)}"
        await self._service.storage.put(key, data)
        self._held.append({"upload_id": self._row.id, "start": self._at, "size": len(data), "key": key})
        self._at += len(data)
        if not self._sum:
            await self._keep()

    async def _keep(self) -> None:
        """Moves the offset. Raises OffsetMismatch if another append moved it meanwhile."""
        if not self._held:
            return
        async with self._service.database.transaction() as connection:
            moved = (
                update(PartialUpload)
                .where(PartialUpload.id == self._row.id, PartialUpload.received == self._held[0]["start"])
                .where(PartialUpload.object_hash.is_(None))
                .values(received=self._at, expires_at=_expiry(self._service.settings))
                .returning(PartialUpload.id)
            )
            if (await connection.execute(moved)).one_or_none() is None:
                raise OffsetMismatch
            await connection.execute(insert(Part).values(self._held))
        self._held = []

    async def _discard(self) -> None:
        keys = [part["key"] for part in self._held]
        if keys:
            async with self._service.database.transaction() as connection:
                await deletions.add(connection, keys)


async def _finish(service: Resources, caller: Caller, row: Upload) -> ObjectDetails:
    """Makes an object of the parts, or deletes the upload if the file is refused."""
    async with service.database.transaction() as connection:
        parts = select(Part.key).where(Part.upload_id == row.id).order_by(Part.start)
        keys = (await connection.execute(parts)).scalars().all()

    async def chunks() -> AsyncIterator[bytes]:
        for key in keys:
            async for chunk in service.storage.read(key):
                yield chunk

    try:
        details = await ingest.upload(service, caller, chunks())
    except Invalid:
        async with service.database.transaction() as connection:
            await delete(connection, caller, row.id)
        raise
    async with service.database.transaction() as connection:
        finished = update(PartialUpload).where(PartialUpload.id == row.id)
        await connection.execute(finished.values(object_hash=details.row.hash, expires_at=_expiry(service.settings)))
        await _drop_parts(connection, [row.id])
    return details


async def delete(connection: AsyncConnection, caller: Caller, upload_id: int) -> None:
    """Deletes the upload, but not the object of a finished one. Raises UploadNotFound."""
    row = await _find(connection, caller, upload_id)
    await drop(connection, [row.id])


async def drop(connection: AsyncConnection, ids: list[int]) -> None:
    """Deletes uploads and queues their parts for deletion."""
    await _drop_parts(connection, ids)
    await connection.execute(delete_from(PartialUpload).where(PartialUpload.id.in_(ids)))


async def _drop_parts(connection: AsyncConnection, ids: list[int]) -> None:
    gone = delete_from(Part).where(Part.upload_id.in_(ids)).returning(Part.key)
    await deletions.add(connection, (await connection.execute(gone)).scalars().all())


async def _find(connection: AsyncConnection, caller: Caller, upload_id: int) -> Upload:
    query = select(PartialUpload.__table__).where(
        PartialUpload.id == upload_id, PartialUpload.user_id == caller.user_id, PartialUpload.expires_at > func.now()
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise UploadNotFound
    return row


def _expiry(settings: MediaSettings) -> datetime:
    return datetime.now(UTC) + timedelta(hours=settings.upload_hours)
