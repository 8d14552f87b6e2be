"""Removes personal metadata from files that an earlier release stored with it. They keep their addresses."""

from typing import Any, NamedTuple

import structlog
from sqlalchemy import Row, exists, select, update

from services.kit.db import Database
from services.kit.errors import Invalid, Unavailable
from services.media.config import MediaSettings
from services.media.files import probe
from services.media.files.filetypes import AUDIO, IMAGE, TYPES, VIDEO
from services.media.files.probe import Facts
from services.media.models import Derivative, Object
from services.media.storage import LocalFile, Storage, measure
from services.objectstore.store import key_of

BATCH = 100
log = structlog.get_logger("cleaning")


class Cleaned(NamedTuple):
    """Numbers of files."""

    looked_at: int = 0
    changed: int = 0
    left: int = 0  # missing, refused by today's rules, or in need of another format


async def clean_metadata(database: Database, settings: MediaSettings, storage: Storage, after: str = "") -> Cleaned:
    """Looks at every uploaded picture and recording, by hash from `after` on. Repeating it changes nothing more.

    The bytes under an address change, so a file's hash is no longer that of its bytes; uploading the original again
    still finds it. Browsers and CDNs that keep the old bytes have to be purged.
    """
    done = Cleaned()
    while rows := await _next(database, after):
        for row in rows:
            outcome = await _clean(database, settings, storage, row)
            done = Cleaned(done.looked_at + 1, done.changed + (outcome is True), done.left + (outcome is None))
        after = rows[-1].hash
        log.info("cleaned", until=after, **done._asdict())
    return done


async def _next(database: Database, after: str) -> Any:
    made = exists().where(Derivative.object_hash == Object.hash)
    query = select(Object.__table__).where(Object.hash > after, Object.kind.in_((IMAGE, VIDEO, AUDIO)), ~made)
    async with database.transaction() as connection:
        return (await connection.execute(query.order_by(Object.hash).limit(BATCH))).all()


async def _clean(database: Database, settings: MediaSettings, storage: Storage, row: Row[Any]) -> bool | None:
    """Whether the file was changed; None if it cannot be cleaned."""
    key = key_of(f"{row.hash}.{row.extension}")
    try:
        async with storage.spooling() as spool:
            async for chunk in storage.read(key):
                await spool.write(chunk)
            file = await spool.finish()
            facts = await probe.probe(settings, file.path, TYPES[row.extension])
            if not facts.changed:
                return False
            if facts.type.extension != row.extension:
                return None
            await storage.put(key, file.path, row.media_type)
            await _record(database, row.hash, await measure(file.path), facts)
            return True
    except (Invalid, Unavailable, FileNotFoundError) as error:
        log.warning("left as it is", hash=row.hash, error=repr(error)[:200])
        return None


async def _record(database: Database, hash: str, file: LocalFile, facts: Facts) -> None:
    values: dict[str, Any] = {"size": file.size, "width": facts.width, "height": facts.height}
    if facts.blurhash:
        values["blurhash"] = facts.blurhash
    async with database.transaction() as connection:
        await connection.execute(update(Object).where(Object.hash == hash).values(values))
