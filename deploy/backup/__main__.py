"""`python -m deploy.backup create` writes all data of hitok into one folder; `… restore FOLDER` puts it back,
`… verify FOLDER` proves that it could.

Both read HITOK_* as the processes do. Without these settings they work on the data folder of `make run`.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import psycopg
import typer

from deploy.backup.backups import back_up, check_revisions, describe, put_back
from deploy.backup.manifest import read_manifest, verify
from deploy.backup.places import is_running, open_place
from deploy.backup.snapshots import note_verified
from deploy.backup.verification import try_restore
from deploy.deployment import MARK
from deploy.local.errors import LocalError, explain_os_errors
from deploy.local.settings_files import read_environ
from deploy.unknown_settings import SCRATCH_URL

commands = typer.Typer(add_completion=False, help="Back up and restore everything that hitok keeps.")
REPLACE = typer.Option(False, "--replace", help="also where there is something already; it is lost")


@commands.command()
def create(to: Annotated[Path, typer.Argument(help="the folder that gets a new folder")] = Path("backups")) -> None:
    """Back up databases and files, while hitok runs or not."""
    folder = to.absolute() / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    with explained(), explain_os_errors(folder, "name another folder"):
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
    print(f"restored {describe(manifest)}. Start hitok; then social, media and chat can be told to `check`")


@commands.command("verify")
def try_out(
    folder: Path,
    into: Annotated[
        str, typer.Option(help=f"URL of a scratch PostgreSQL's administrator; else {SCRATCH_URL}, or one is started")
    ] = "",
) -> None:
    """Prove that a backup can be restored, by restoring it into a scratch server; hitok is not touched."""
    with explained():
        environ = read_environ()
        manifest = try_restore(folder, into or environ.get(SCRATCH_URL, ""))
        if environ.get(MARK) or is_running(environ):
            with open_place(environ, stopped=False) as place:
                note_verified(place.urls["media"], manifest.created_at)
    print(f"verified {describe(manifest)}: restored, migrated to this release, and every file is there")


@contextmanager
def explained() -> Iterator[None]:
    """Ends the process with one line for the operator, instead of a traceback."""
    try:
        yield
    except LocalError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    except psycopg.Error as error:
        print(f"error: PostgreSQL: {str(error).strip().splitlines()[0]}", file=sys.stderr)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    commands()
