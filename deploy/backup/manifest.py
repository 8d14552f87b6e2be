"""The `manifest.json` of a backup folder: every part with its checksum."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from deploy.local.errors import LocalError
from deploy.revision import read_revision
from services.kit import VERSION

FILE, OBJECTS = "manifest.json", "objects"
FORMAT = 1


class Part(Struct, frozen=True):
    """A file of the backup, by its path in the folder."""

    path: str
    size: int
    sha256: str


class Database(Struct, frozen=True):
    """A dump. `rows` are counts by table, `revision` is that of the schema."""

    dump: Part
    revision: str
    rows: dict[str, int]


class Object(Struct, frozen=True):
    """A file of the object store. The backup keeps it under the same key in the folder `objects`."""

    key: str
    size: int
    sha256: str


class Manifest(Struct, frozen=True):
    """`objects` names the list of all files. `missing` are keys that the media service knows but the store did not
    have.

    `hitok` and `revision` are the release and the commit that made the backup.
    """

    format: int
    hitok: str
    created_at: datetime
    postgres: str
    databases: dict[str, Database]
    objects: Part
    object_count: int
    object_bytes: int
    missing: list[str]
    revision: str = ""


def write_manifest(
    folder: Path, postgres: str, databases: Mapping[str, Database], objects: list[Object], missing: list[str]
) -> Manifest:
    listing = folder / "objects.jsonl"
    listing.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in objects))
    manifest = Manifest(
        format=FORMAT,
        hitok=VERSION,
        created_at=datetime.now(UTC),
        postgres=postgres,
        databases=dict(databases),
        objects=measure(folder, listing),
        object_count=len(objects),
        object_bytes=sum(one.size for one in objects),
        missing=missing,
        revision=read_revision(os.environ),
    )
    (folder / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Raises LocalError if the folder is not a backup, or needs a newer hitok."""
    file = folder / FILE
    try:
        manifest = msgspec.json.decode(file.read_bytes(), type=Manifest)
    except OSError as error:
        raise LocalError(f"{folder} is no backup: {file}: {(error.strerror or '').lower()}") from None
    except msgspec.MsgspecError as error:
        raise LocalError(f"{file} is broken, or of another version of hitok: {error}") from None
    if manifest.format != FORMAT:
        raise LocalError(f"{folder} has format {manifest.format}, this hitok reads {FORMAT}")
    return manifest


def read_objects(folder: Path, manifest: Manifest) -> list[Object]:
    lines = (folder / manifest.objects.path).read_bytes().splitlines()
    return [msgspec.json.decode(line, type=Object) for line in lines]


def verify(folder: Path, manifest: Manifest) -> None:
    """Raises LocalError naming the first part that is missing or has another checksum."""
    for part in _parts(folder, manifest):
        path = folder / part.path
        if not path.is_file():
            raise LocalError(f"{path} is missing: this backup is not whole. Nothing was changed")
        if measure(folder, path) != part:
            raise LocalError(f"{path} is not what was backed up (other checksum). Nothing was changed")


def _parts(folder: Path, manifest: Manifest) -> Iterator[Part]:
    yield manifest.objects
    yield from (database.dump for database in manifest.databases.values())
    for one in read_objects(folder, manifest):
        yield Part(f"{OBJECTS}/{one.key}", one.size, one.sha256)


def measure(folder: Path, path: Path) -> Part:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Part(str(path.relative_to(folder)), path.stat().st_size, digest)
