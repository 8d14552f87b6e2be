"""A user's own uploads: the list of them, and deleting one."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import delete, exists, or_, select

from services.kit import pages
from services.kit.context import Caller
from services.kit.cursor import decode_cursor, encode_cursor
from services.kit.sql.connection import AsyncConnection
from services.media.errors import FileInUse, HashInvalid, ObjectNotFound
from services.media.files import ingest, objects
from services.media.files.objects import HASH, ObjectDetails
from services.media.files.references import release_objects
from services.media.models import Derivative, Object, ObjectReference, Upload

MAX_PAGE = 100  # uploads
LIST = (Upload.created_at, Upload.object_hash)  # the order of the list, descending

_mine = ObjectReference.owner_id == Upload.user_id
_shown = exists().where(ObjectReference.object_hash == Upload.object_hash, _mine)
_made = (Derivative.source_hash == Upload.object_hash, ObjectReference.object_hash == Derivative.object_hash)
IN_USE = or_(_shown, exists().where(*_made, _mine))  # by a video of the uploader


class OwnUpload(NamedTuple):
    """`in_use`: a video of the uploader shows the file, or a picture made of it."""

    details: ObjectDetails
    uploaded_at: datetime
    in_use: bool


async def list_own(connection: AsyncConnection, caller: Caller, cursor: str, limit: int) -> tuple[list[OwnUpload], str]:
    """The last uploaded first, and the next page's cursor. Raises CursorInvalid."""
    query = select(*LIST, IN_USE.label("in_use")).where(Upload.user_id == caller.user_id)
    if position := decode_cursor(cursor, tuple[datetime, str]):
        query = query.where(pages.before(LIST, position))
    limit = pages.clamp(limit, MAX_PAGE)
    ordered = query.order_by(*(column.desc() for column in LIST)).limit(limit + 1)
    rows = (await connection.execute(ordered)).all()
    shown = rows[:limit]
    found = {it.row.hash: it for it in await objects.batch_get(connection, [row.object_hash for row in shown])}
    uploads = [OwnUpload(found[row.object_hash], row.created_at, row.in_use) for row in shown]
    more = len(rows) > limit
    return uploads, encode_cursor(shown[-1].created_at.isoformat(), shown[-1].object_hash) if more else ""


async def delete_own(connection: AsyncConnection, caller: Caller, hash: str) -> None:
    """Deletes the caller's upload, and the bytes unless another user uploaded the same file.

    What messages, a profile or a group show of it is gone too. Raises HashInvalid, ObjectNotFound, FileInUse.
    """
    if not HASH.fullmatch(hash):
        raise HashInvalid
    await ingest.lock_object(connection, hash)
    # Publishing it as a video locks the row too, so it either waits and finds nothing or comes first.
    await connection.execute(select(Object.hash).where(Object.hash == hash).with_for_update())
    mine = (Upload.object_hash == hash, Upload.user_id == caller.user_id)
    upload = (await connection.execute(select(IN_USE.label("in_use")).where(*mine))).one_or_none()
    if upload is None:
        raise ObjectNotFound
    if upload.in_use:
        raise FileInUse
    await release_objects(connection, caller.user_id, [hash], private=True)
    await connection.execute(delete(Upload).where(*mine))  # it stays above if another user's video shows the object
