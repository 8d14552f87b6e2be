"""Pictures in other sizes and formats. Each is made when it is first asked for, and kept as long as the picture."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import structlog
from prometheus_client import Counter
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from services.kit.db import Database
from services.kit.errors import HitokError
from services.kit.ttl_map import TtlMap
from services.media.config import MIB
from services.media.errors import FileBroken, ObjectKindInvalid, ObjectNotFound, PictureOverloaded, VariantInvalid
from services.media.files import objects, probe
from services.media.files.derivation import keep
from services.media.files.filetypes import IMAGE, TYPES
from services.media.files.objects import Variant
from services.media.files.probe import Facts
from services.media.models import Object
from services.media.resources import Resources
from services.objectstore.store import key_of

WIDTHS = (64, 128, 256, 512, 1080)  # pixels
FORMATS = ("avif", "webp", "basic")
AT_ONCE = 2
MAX_WAITING = 200
CPU_SECONDS, MEMORY_MEGABYTES = 20, 1_536  # of one child
LOOK_EVERY = 0.1  # seconds, while another process makes the same one
FAILED_SECONDS, MAX_FAILED = 600.0, 10_000  # how long a picture of which none can be made is left alone

MADE = Counter("hitok_media_variants", "Pictures made in another size or format", ["format", "outcome"])
for format in FORMATS:
    for outcome in ("done", "failed"):
        MADE.labels(format, outcome)
log = structlog.get_logger("variants")

Key = tuple[str, int, str]  # hash, width, format


class VariantMaker:
    """Makes each variant once: callers in one process wait for each other, processes by an advisory lock."""

    def __init__(self, service: Resources) -> None:
        self._service, self._waiting = service, 0
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._locks: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()
        self._failed: TtlMap[Key, bool] = TtlMap(FAILED_SECONDS, MAX_FAILED)

    async def make(self, hash: str, width: int, format: str) -> Variant:
        """Raises VariantInvalid, HashInvalid, ObjectNotFound, ObjectKindInvalid, FileBroken, PictureOverloaded,
        StoreUnavailable."""
        key = (hash, width, format)
        if width not in WIDTHS or format not in FORMATS:
            raise VariantInvalid
        if found := await self._find(key):
            return found
        if self._failed.get(key):
            raise FileBroken("none could be made before")
        if self._waiting >= MAX_WAITING:
            raise PictureOverloaded(retry_after=1)
        self._waiting += 1
        try:
            async with self._locks.setdefault(key, asyncio.Lock()):
                return await self._find(key) or await self._make(key)
        finally:
            self._waiting -= 1

    async def _make(self, key: Key) -> Variant:
        async with self._turns, _alone(self._service.sessions, " ".join(map(str, key))):
            if found := await self._find(key):  # another process made it meanwhile
                return found
            try:
                await _make(self._service, key)
            except HitokError as error:
                log.info("variant failed", hash=key[0], error=repr(error)[:200])
                MADE.labels(key[2], "failed").inc()
                if isinstance(error, FileBroken):
                    self._failed.put(key, True)
                raise
            MADE.labels(key[2], "done").inc()
        if made := await self._find(key):
            return made
        raise ObjectNotFound  # deleted meanwhile

    async def _find(self, key: Key) -> Variant | None:
        async with self._service.database.transaction() as connection:
            details = await objects.get(connection, key[0])
        if details.row.kind != IMAGE:
            raise ObjectKindInvalid
        return next((of for of in details.variants if (of.width, of.format) == key[1:]), None)


@asynccontextmanager
async def _alone(database: Database, name: str) -> AsyncIterator[None]:
    """Only one process at a time runs the block for this name. The connection is in no transaction meanwhile."""
    lock = func.hashtextextended(name, 1)
    async with database.reading() as connection:
        try:
            while not (await connection.execute(select(func.pg_try_advisory_lock(lock)))).scalar_one():  # noqa: ASYNC110
                await asyncio.sleep(LOOK_EVERY)
            yield
            await connection.execute(select(func.pg_advisory_unlock(lock)))
        except BaseException:
            connection.invalidate()  # ends the session, and with it the lock
            raise


async def _make(service: Resources, key: Key) -> None:
    """Makes a variant and stores it as a derivative of its picture. Raises FileBroken, ObjectNotFound,
    StoreUnavailable."""
    hash, width, format = key
    async with service.database.transaction() as connection:
        row = (await objects.get(connection, hash)).row
    with service.storage.scratch() as scratch:
        made = await _convert(service, row, scratch, {"width": width, "format": format, "blurred": not row.blurhash})
        facts = Facts(TYPES[made["extension"]], made["width"], made["height"], codec=made["extension"])
        try:
            await keep(service, hash, f"w{width}-{format}", scratch, facts)
        except IntegrityError:  # the derivative names the picture
            raise ObjectNotFound from None
    if blurhash := made.get("blurhash"):  # the picture was stored before such facts were kept
        async with service.database.transaction() as connection:
            await connection.execute(update(Object).where(Object.hash == hash).values(blurhash=blurhash))


async def _convert(service: Resources, row: Any, target: Path, options: dict[str, Any]) -> dict[str, Any]:
    try:
        async with service.storage.local(key_of(f"{row.hash}.{row.extension}")) as source:
            request = {
                "profile": "variant",
                "source": str(source),
                "extension": row.extension,
                "target": str(target),
                "cuts": "",
                "options": options,
                "frugal": True,
                "cpu_seconds": CPU_SECONDS,
                "memory_megabytes": MEMORY_MEGABYTES,
                "file_megabytes": service.settings.max_image_bytes // MIB + 16,
            }
            made = await probe.run_child("conversion", request, 2 * CPU_SECONDS)
    except FileNotFoundError:
        raise ObjectNotFound from None
    if "refused" in made:
        raise FileBroken(made["detail"])
    return made
