"""Reports the progress of a file's processing to its uploaders' sockets: the frame `file.progress`
(docs/chat-protocol.md).

The frames go to the gateways over core NATS, past the outbox: the next one makes good for one that is lost, and
`/api/file/status` for the last.
"""

from contextlib import suppress
from typing import Any

import msgspec
from nats.errors import Error as NatsError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from services.media.files.progress import Progress, progress_of
from services.media.models import FAILED, PROCESSING, READY, Object, Upload
from services.media.resources import Resources

STATES = {PROCESSING: "processing", READY: "ready", FAILED: "failed"}
MAX_UPLOADERS = 50  # of one file; others see its state when they ask


async def push_progress(service: Resources, hash: str) -> None:
    """Does nothing while PostgreSQL or NATS is away: nobody waits for this."""
    if not service.nats.is_connected:
        return
    with suppress(SQLAlchemyError, NatsError, OSError):
        async with service.pushing:
            await _push(service, hash)


async def _push(service: Resources, hash: str) -> None:
    async with service.database.transaction() as connection:
        row = (await connection.execute(select(Object.__table__).where(Object.hash == hash))).one_or_none()
        if row is None:  # deleted meanwhile
            return
        progress = await progress_of(connection, row)
        uploaders = select(Upload.user_id).where(Upload.object_hash == hash).limit(MAX_UPLOADERS)
        user_ids = (await connection.execute(uploaders)).scalars().all()
    payload = _frame(row, progress)
    for user_id in user_ids:
        await service.nats.publish(f"push.user.{user_id}", payload, headers={"key": f"file:{hash}"})


def _frame(row: Any, progress: Progress) -> bytes:
    data = {"id": row.hash, "status": STATES[row.state], "progress": progress.percent, "stage": progress.stage}
    return msgspec.json.encode({"type": "file.progress", "data": data})
