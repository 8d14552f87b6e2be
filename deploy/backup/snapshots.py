"""Dumps each database as it was at one moment, while the services go on writing.

The snapshot of a service that consumes events is taken before those of the services that send them. So an event that a
consumer has handled is always in its sender's outbox, and a row that names a row of another service finds it. The
chat's one event to the social service is the exception, see docs/adr/0010-a-backup-leaves-the-stream-out.md.
"""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path

import psycopg
from psycopg import sql

from deploy.backup.manifest import Database, measure
from deploy.backup.programs import environment_for, locate
from deploy.local.errors import LocalError
from services.media.files.deletions import BACKUP
from services.objectstore.store import key_of

CONSUMERS_FIRST = ("chat", "media", "social", "user")
TABLES = """
    SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
    AND NOT relispartition ORDER BY relname"""
Snapshots = Mapping[str, psycopg.Connection]


@contextmanager
def keeping_files(media_url: str) -> Iterator[None]:
    """Stops the media service from deleting files while the block runs, so that all files of its snapshot can be
    copied."""
    with _connect("media", media_url) as connection:
        connection.autocommit = True
        connection.execute("SELECT pg_advisory_lock(%s)", [BACKUP])
        try:
            yield
        finally:
            connection.execute("SELECT pg_advisory_unlock(%s)", [BACKUP])


@contextmanager
def open_snapshots(urls: Mapping[str, str]) -> Iterator[Snapshots]:
    with ExitStack() as exits:
        snapshots = {}
        for name in CONSUMERS_FIRST:
            connection = exits.enter_context(_connect(name, urls[name]))
            connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            connection.commit()
            connection.execute("SELECT")  # the first statement takes the snapshot
            snapshots[name] = connection
        yield snapshots


def _connect(name: str, url: str) -> psycopg.Connection:
    options = "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0"
    try:
        return psycopg.connect(url, connect_timeout=10, options=options)
    except psycopg.OperationalError as error:
        raise LocalError(f"the database of {name}: {str(error).strip().splitlines()[0]}") from None


def dump(snapshot: psycopg.Connection, url: str, folder: Path, name: str) -> Database:
    """Dumps the database as the snapshot sees it. Raises LocalError."""
    revision = _read(snapshot, "SELECT version_num FROM alembic_version")
    rows = {
        str(table): int(_read(snapshot, sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))))
        for (table,) in snapshot.execute(TABLES).fetchall()
    }
    file = folder / f"{name}.dump"
    options = ["--format=custom", "--no-owner", "--no-privileges", f"--file={file}"]
    exported = _read(snapshot, "SELECT pg_export_snapshot()")
    done = subprocess.run(  # noqa: S603 - our own program
        [str(locate("pg_dump")), *options, f"--snapshot={exported}"],
        env=environment_for(url),
        capture_output=True,
        text=True,
        check=False,
        restore_signals=False,  # pg_dump then reports a file size limit as an error, instead of dying of a signal
    )
    if done.returncode:
        raise LocalError(f"cannot dump the database of {name}", details=done.stderr.strip())
    return Database(measure(folder, file), revision, rows)


def note(media_url: str, began_at: datetime) -> None:
    """Writes down that there is a whole backup with the data of that moment; the alert BackupOld reads it."""
    with _connect("media", media_url) as connection, suppress(psycopg.errors.UndefinedTable):  # of an older release
        connection.execute("INSERT INTO backup (began_at) VALUES (%s)", [began_at])


def note_verified(media_url: str, created_at: datetime) -> None:
    """Writes down that the backup with this time in its manifest was restored into a scratch server."""
    same = "began_at = (SELECT max(began_at) FROM backup WHERE began_at <= %s)"
    with _connect("media", media_url) as connection, suppress(psycopg.errors.UndefinedTable):
        connection.execute(f"UPDATE backup SET verified_at = now() WHERE {same}", [created_at])  # noqa: S608


def list_keys(media: psycopg.Connection) -> list[tuple[str, int]]:
    """The key and size of every file that the media service knows."""
    objects = media.execute("SELECT hash, extension, size FROM object ORDER BY hash").fetchall()
    parts = media.execute("SELECT key, size FROM part ORDER BY key").fetchall()
    return [(key_of(f"{hash}.{extension}"), size) for hash, extension, size in objects] + parts


def server_version(snapshot: psycopg.Connection) -> str:
    return _read(snapshot, "SHOW server_version")


def _read(connection: psycopg.Connection, query: str | sql.Composed) -> str:
    try:
        row = connection.execute(query).fetchone()
    except psycopg.errors.UndefinedTable:
        row = None
    if row is None:
        raise LocalError(f"the database {connection.info.dbname} has no schema yet: there is nothing to back up")
    return str(row[0])
