"""The object store, and the spool: a local folder for files that are being received or made."""

import asyncio
import hashlib
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import obstore
import structlog
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import LocalStore, ObjectStore

from services.kit.config import ConfigError
from services.media import local_store, spools
from services.media.config import MIB, MediaSettings
from services.media.errors import StoreUnavailable
from services.objectstore.store import open_store

BUFFER, MAX_PIECES = MIB, 1_024  # collected before a thread hashes and writes them
TRIAL_SECONDS = 5.0
HEAD = 4_096  # bytes by which a file type is recognized

log = structlog.get_logger("storage")


class LocalFile(NamedTuple):
    """A complete file; `head` is its first bytes."""

    path: Path
    size: int
    hash: str
    head: bytes


class Spool:
    """A file being received, hashed as it is written. The writer bounds its size."""

    def __init__(self, folder: Path) -> None:
        self.path, self.size, self.head = folder / "file", 0, b""
        self._hash, self._pieces, self._waiting = hashlib.sha256(), list[bytes](), 0
        self._file = self.path.open("xb", buffering=0)
        self._writing: asyncio.Future[None] | None = None

    async def write(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if len(self.head) < HEAD:
            self.head += chunk[: HEAD - len(self.head)]
        self._pieces.append(chunk)
        self._waiting += len(chunk)
        if self._waiting >= BUFFER or len(self._pieces) >= MAX_PIECES:
            await self._flush()

    async def _flush(self) -> None:
        """Writes the pieces in a thread, while the next ones come."""
        await self._wait()
        loop, pieces = asyncio.get_running_loop(), self._pieces
        self._pieces, self._waiting = [], 0
        self._writing = loop.run_in_executor(None, self._absorb, pieces)

    async def _wait(self) -> None:
        if self._writing:
            with _available():
                await asyncio.shield(self._writing)
            self._writing = None

    def _absorb(self, pieces: list[bytes]) -> None:
        start = self._file.tell()
        for piece in pieces:
            self._hash.update(piece)
            rest = memoryview(piece)
            while rest:
                rest = rest[self._file.write(rest) :]
        if (end := self._file.tell()) >= BUFFER:  # a small file is synced soon, if it is not refused before
            local_store.begin_writing(self._file.fileno(), start, end - start)

    async def finish(self) -> LocalFile:
        await self._flush()
        await self._wait()
        return LocalFile(self.path, self.size, self._hash.hexdigest(), self.head)

    async def close(self) -> None:
        if self._writing:
            with suppress(OSError):
                await asyncio.shield(self._writing)
        self._file.close()
        shutil.rmtree(self.path.parent, ignore_errors=True)


async def measure(path: Path) -> LocalFile:
    """Hashes an existing file."""

    def read() -> LocalFile:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:  # no link that a child left
            digest = hashlib.file_digest(file, "sha256")
            file.seek(0)
            head = file.read(HEAD)
        return LocalFile(path, path.stat().st_size, digest.hexdigest(), head)

    return await asyncio.to_thread(read)


class Storage:
    def __init__(self, store: ObjectStore, spool: Path) -> None:
        self.store, self.spool = store, spool

    @asynccontextmanager
    async def spooling(self) -> AsyncIterator[Spool]:
        """Opens a new spool, deleted when the block ends. Raises StoreUnavailable if the disk is full."""
        with _available():
            spool = Spool(self.new_folder())
        try:
            yield spool
        finally:
            await spool.close()

    def new_folder(self) -> Path:
        """Makes a folder in the spool, for one child process at a time to write to; the caller deletes it."""
        folder = self.spool / secrets.token_hex(16)
        folder.mkdir(mode=0o700)
        return folder

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yields a free path in a new folder, which is deleted when the block ends."""
        folder = self.new_folder()
        try:
            yield folder / "made"
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def require_writable(self) -> None:
        """Raises ConfigError if the store refuses access or does not exist, not if it is unreachable."""
        key = f"trial/{secrets.token_hex(16)}"
        try:
            async with asyncio.timeout(TRIAL_SECONDS):
                await obstore.put_async(self.store, key, b"x")
                await obstore.delete_async(self.store, key)
        except (FileNotFoundError, PermissionError, PermissionDeniedError, UnauthenticatedError) as error:
            raise ConfigError(f"HITOK_MEDIA_URL: cannot write there: {str(error).splitlines()[0][:200]}") from None
        except (BaseError, OSError, TimeoutError) as error:
            log.warning("store unreachable", error=repr(error)[:300])

    async def put(
        self, key: str, source: Path | bytes, media_type: str = "", attachment: bool = False, adopt: bool = False
    ) -> None:
        """Stores or overwrites an object, atomically, and safe from a power failure. Raises StoreUnavailable.

        `adopt`: the file is not written to again, so a local store may take it over without a copy.
        """
        folder = Path(self.store.prefix) if isinstance(self.store, LocalStore) and self.store.prefix else None
        if adopt and folder and isinstance(source, Path):
            with _available():
                if await asyncio.to_thread(local_store.adopt, folder, key, source):
                    await asyncio.to_thread(local_store.sync, folder, key)
                    return
        attributes = None
        if media_type and not isinstance(self.store, LocalStore):  # for clients that HITOK_MEDIA_REDIRECT sends there
            attributes = {"Content-Type": media_type, "Cache-Control": "public, max-age=31536000, immutable"}
            attributes |= {"Content-Disposition": "attachment"} if attachment else {}
        with _available():
            await obstore.put_async(
                self.store, key, source, attributes=attributes, chunk_size=5 * MIB, max_concurrency=2
            )
            if folder:
                await asyncio.to_thread(local_store.sync, folder, key)

    @asynccontextmanager
    async def local(self, key: str) -> AsyncIterator[Path]:
        """The object as a local file, which must not be changed. Raises StoreUnavailable, FileNotFoundError."""
        if isinstance(self.store, LocalStore) and self.store.prefix:
            yield Path(self.store.prefix, key)
            return
        async with self.spooling() as spool:
            async for chunk in self.read(key):
                await spool.write(chunk)
            yield (await spool.finish()).path

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """Raises StoreUnavailable, FileNotFoundError."""
        with _available():
            result = await obstore.get_async(self.store, key)
            async for chunk in result.stream(MIB):
                yield bytes(chunk)

    async def exists(self, key: str) -> bool:
        with _available():
            try:
                await obstore.head_async(self.store, key)
            except FileNotFoundError:
                return False
            return True

    async def delete(self, keys: Sequence[str]) -> None:
        """Ignores keys that do not exist. Raises StoreUnavailable."""
        with _available():
            for key in keys:
                with suppress(FileNotFoundError):
                    await obstore.delete_async(self.store, key)

    async def list(self, prefix: str = "") -> AsyncIterator[list[tuple[str, float]]]:
        """Yields batches of keys with the time each was written (Unix seconds)."""
        with _available():
            async for batch in obstore.list(self.store, prefix or None, chunk_size=500):
                yield [(meta["path"], meta["last_modified"].timestamp()) for meta in batch]


@contextmanager
def _available() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (BaseError, OSError) as error:
        log.warning("store failed", error=repr(error)[:300])
        raise StoreUnavailable(type(error).__name__) from None


@contextmanager
def open_storage(settings: MediaSettings) -> Iterator[Storage]:
    """Deletes first what killed processes left in their spools. Raises ConfigError."""
    parent = Path(settings.var, "spool").absolute()
    with ExitStack() as stack:
        try:
            parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            spools.delete_abandoned(parent)
            spool = stack.enter_context(spools.own_folder(parent))
        except OSError as error:
            raise ConfigError(f"cannot keep files under way in {parent}: {error.strerror}; set HITOK_VAR") from None
        yield Storage(open_store(settings.media_url, settings.var), spool)
