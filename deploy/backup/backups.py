"""Makes a backup of a place, and restores it."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from deploy.backup.files import copy_in, copy_out, is_empty, require_writable
from deploy.backup.manifest import FILE, Manifest, read_objects, write_manifest
from deploy.backup.places import Place
from deploy.backup.sessions import HOW_TO_REPLACE, check_target, restore_databases
from deploy.backup.snapshots import (
    CONSUMERS_FIRST,
    dump,
    keeping_files,
    list_keys,
    note,
    open_snapshots,
    server_version,
)
from deploy.database_services import DATABASE_SERVICES
from deploy.local.errors import LocalError
from services.kit.schema import knows

PARTIAL = ".partial"


def back_up(place: Place, folder: Path) -> Manifest:
    """Writes the backup under a temporary name first, so that an incomplete one is never taken for a backup.

    Raises LocalError.
    """
    draft = folder.with_name(folder.name + PARTIAL)
    draft.mkdir(parents=True, mode=0o700)
    began_at = datetime.now(UTC)
    try:
        with keeping_files(place.urls["media"]), open_snapshots(place.urls) as snapshots:
            databases = {name: dump(snapshots[name], place.urls[name], draft, name) for name in CONSUMERS_FIRST}
            objects, missing = copy_out(place.store, list_keys(snapshots["media"]), draft, find_earlier(folder))
            version = server_version(snapshots["user"])
        manifest = write_manifest(draft, version, databases, objects, missing)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    draft.rename(folder)
    note(place.urls["media"], began_at)
    return manifest


def find_earlier(folder: Path) -> Path | None:
    """The last complete backup in the same folder. Its files need not be copied again."""
    whole = [path.parent for path in folder.parent.glob(f"*/{FILE}") if path.parent.suffix != PARTIAL]
    return max(whole, default=None)


def check_revisions(manifest: Manifest) -> None:
    """Raises LocalError if a dump needs a newer hitok. An older schema is fine: the migrate step updates it."""
    if set(manifest.databases) != set(DATABASE_SERVICES):
        raise LocalError(f"this backup has the databases {', '.join(manifest.databases)}: not those of this hitok")
    for name, database in manifest.databases.items():
        if not knows(DATABASE_SERVICES[name].migrations, database.revision):
            raise LocalError(
                f"the backup of {name} is ahead of this code (revision {database.revision}): restore it with the newer"
                " version. Nothing was changed"
            )


def put_back(place: Place, folder: Path, manifest: Manifest, replace: bool) -> None:
    """Raises LocalError."""
    for name in manifest.databases:
        check_target(name, place.urls[name], replace)
    require_writable(place.store)
    if not replace and not is_empty(place.store):
        raise LocalError(f"the object store is not empty. To restore all the same: {HOW_TO_REPLACE}")
    if place.holds_events() and not replace:
        raise LocalError(f"the event stream is not empty. To empty it: {HOW_TO_REPLACE}")
    copy_in(place.store, folder, read_objects(folder, manifest))  # files first, then the rows that refer to them
    restore_databases(folder, manifest, place.urls, replace)
    try:
        place.forget_events()
    except LocalError as error:
        raise LocalError(
            f"the databases are restored, but the event stream is not emptied: {error}."
            " Remove the stream EVENTS before you start the services"
        ) from None


def describe(manifest: Manifest) -> str:
    rows = sum(sum(database.rows.values()) for database in manifest.databases.values())
    size = manifest.object_bytes / (1 << 20)
    return f"{len(manifest.databases)} databases, {rows} rows, {manifest.object_count} files of {size:.1f} MB"
