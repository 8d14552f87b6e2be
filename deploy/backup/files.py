"""Copies files from the object store into a backup, and back. Files never change, so a file that an earlier backup has
is linked instead of copied."""

import hashlib
import os
import secrets
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from deploy.backup.manifest import OBJECTS, Object, measure, read_manifest, read_objects
from deploy.local.errors import LocalError

AT_ONCE = 4
CHUNK = 4 << 20  # bytes
PARTS = "partial/"  # pieces of unfinished uploads, whose names are not checksums


def copy_out(
    store: ObjectStore, keys: Iterable[tuple[str, int]], folder: Path, earlier: Path | None
) -> tuple[list[Object], list[str]]:
    """Returns the files copied, and the keys that the store did not have. Raises LocalError."""
    known = _list_known(earlier) if earlier else {}

    def copy(wanted: tuple[str, int]) -> Object | str:
        key, size = wanted
        path = folder / OBJECTS / key
        path.parent.mkdir(parents=True, exist_ok=True)
        found = known.get(key)
        if earlier and found and _link(earlier, found, path):
            return found
        try:
            return _download(store, key, size, path)
        except FileNotFoundError:
            return key

    with ThreadPoolExecutor(AT_ONCE) as threads:
        outcomes = list(threads.map(copy, keys))
    return [one for one in outcomes if isinstance(one, Object)], [one for one in outcomes if isinstance(one, str)]


def _list_known(earlier: Path) -> dict[str, Object]:
    """The files of an earlier backup by key; empty if it cannot be read, as everything can be copied from the store."""
    try:
        objects = read_objects(earlier, read_manifest(earlier))
    except (LocalError, OSError, msgspec.MsgspecError):
        return {}
    return {one.key: one for one in objects if not one.key.startswith(PARTS)}


def _link(earlier: Path, found: Object, path: Path) -> bool:
    """Links the file of the earlier backup. Returns False if it has changed, is gone, or is on another disk."""
    source = earlier / OBJECTS / found.key
    try:
        if measure(earlier, source).sha256 != found.sha256:
            return False
        os.link(source, path)
    except OSError:
        return False
    return True


def _download(store: ObjectStore, key: str, size: int, path: Path) -> Object:
    digest = hashlib.sha256()
    try:
        with path.open("xb") as file:
            for chunk in obstore.get(store, key).stream(CHUNK):
                digest.update(chunk)
                file.write(chunk)
    except FileNotFoundError:
        path.unlink()
        raise
    except BaseError as error:
        raise LocalError(f"cannot read {key} from the store: {str(error).splitlines()[0]}") from None
    named = path.name.partition(".")[0]
    if path.stat().st_size != size or (digest.hexdigest() != named and not key.startswith(PARTS)):
        raise LocalError(f"{key} in the store is broken: it has other bytes than its name says")
    return Object(key, size, digest.hexdigest())


def copy_in(store: ObjectStore, folder: Path, objects: Sequence[Object]) -> None:
    """Uploads the files that the store does not have. Raises LocalError."""

    def copy(one: Object) -> None:
        try:
            if obstore.head(store, one.key)["size"] == one.size:
                return
        except FileNotFoundError:
            pass
        obstore.put(store, one.key, folder / OBJECTS / one.key, chunk_size=CHUNK << 1)

    try:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(copy, objects))
    except (BaseError, OSError) as error:
        raise LocalError(
            f"cannot write to the store: {str(error).splitlines()[0]}. The databases are as they were"
        ) from None


def require_writable(store: ObjectStore) -> None:
    """Writes and deletes a trial file, which also creates the bucket where the first file does so. Raises
    LocalError."""
    key = f"trial/{secrets.token_hex(16)}"
    try:
        obstore.put(store, key, b"x")
        obstore.delete(store, key)
    except (BaseError, OSError) as error:
        raise LocalError(f"cannot write to the store: {str(error).splitlines()[0]}. Nothing was changed") from None


def is_empty(store: ObjectStore) -> bool:
    """Whether the store holds no file. Raises LocalError."""
    try:
        return not next(iter(obstore.list(store, chunk_size=1)), [])
    except (BaseError, OSError) as error:
        raise LocalError(f"cannot look into the store: {str(error).splitlines()[0]}. Nothing was changed") from None
