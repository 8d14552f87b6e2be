"""`python -m deploy.backup create` and `… restore FOLDER`: everything that hitok keeps, in one folder, and back.

They read HITOK_* as the processes do or, without them, work on the data folder of `make run`.
"""

import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from deploy.backup.files import copy_in, copy_out, is_empty
from deploy.backup.manifest import FILE, Manifest, read_manifest, read_objects, verify, write_manifest
from deploy.backup.places import Place, open_place
from deploy.backup.sessions import check_target, restore_databases
from deploy.backup.snapshots import CONSUMERS_FIRST, dump, keeping_files, list_keys, open_snapshots, server_version
from deploy.local.errors import LocalError, explain_os_errors
from deploy.owners import OWNERS
from services.kit.migrate import knows

commands = typer.Typer(add_completion=False, help="Back up and restore everything that hitok keeps.")
PARTIAL = ".partial"
REPLACE = typer.Option(False, "--replace", help="also where there is something already; it is lost")


@commands.command()
def create(to: Annotated[Path, typer.Argument(help="the folder that gets a new folder")] = Path("backups")) -> None:
    """Back up databases and files, while hitok runs or not."""
    folder = to.absolute() / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    with explained(), explain_os_errors(folder):
        with open_place(os.environ, stopped=False) as place:
            manifest = back_up(place, folder)
    print(f"backed up to {folder}: {describe(manifest)}")
    for key in manifest.missing:
        print(f"look: {key} is missing from the store, and so from the backup", file=sys.stderr)


@commands.command()
def restore(folder: Path, replace: bool = REPLACE) -> None:
    """Put a backup back, into an empty hitok that is stopped: all of it or nothing."""
    with explained():
        manifest = read_manifest(folder)
        verify(folder, manifest)
        check_revisions(manifest)
        with open_place(os.environ, stopped=True) as place:
            put_back(place, folder, manifest, replace)
    print(f"restored {describe(manifest)}. Start hitok, then: python -m services.<each> check")


class explained:  # noqa: N801 - reads as a word of the block
    """Ends the process with what the operator has to know."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, LocalError):
            print(f"error: {error}", file=sys.stderr)
            raise typer.Exit(1) from None


def back_up(place: Place, folder: Path) -> Manifest:
    """In a folder of another name first, so that what is not whole is never taken for a backup. Raises LocalError."""
    draft = folder.with_name(folder.name + PARTIAL)
    draft.mkdir(parents=True, mode=0o700)
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
    return manifest


def find_earlier(folder: Path) -> Path | None:
    """The last whole backup beside it."""
    whole = [path.parent for path in folder.parent.glob(f"*/{FILE}") if path.parent.suffix != PARTIAL]
    return max(whole, default=None)


def check_revisions(manifest: Manifest) -> None:
    """Raises LocalError if a dump needs a newer hitok: an older schema is brought up by the migrate step."""
    if set(manifest.databases) != set(OWNERS):
        raise LocalError(f"this backup has the databases {', '.join(manifest.databases)}: not those of this hitok")
    for name, database in manifest.databases.items():
        if not knows(OWNERS[name].migrations, database.revision):
            raise LocalError(
                f"the backup of {name} is ahead of this code (revision {database.revision}): restore it with the newer"
                " version. Nothing was changed"
            )


def put_back(place: Place, folder: Path, manifest: Manifest, replace: bool) -> None:
    """Raises LocalError."""
    for name in manifest.databases:
        check_target(name, place.urls[name], replace)
    if not replace and not is_empty(place.store):
        raise LocalError("the object store is not empty. To restore all the same: --replace")
    if place.holds_events() and not replace:
        raise LocalError("the event stream is not empty. To empty it: --replace")
    copy_in(place.store, folder, read_objects(folder, manifest))  # before the rows that name them
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


if __name__ == "__main__":
    commands()
