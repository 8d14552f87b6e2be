"""Restores databases. Each is restored in a transaction of its own, and none commits before all are ready to commit.

Only a crash between the commits leaves some databases old and some new. Then run the restore again with --replace.
"""

import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep
from typing import IO

import psycopg

from deploy.backup.manifest import Database, Manifest
from deploy.backup.programs import environment_for, locate
from deploy.local.errors import LocalError

HOW_TO_REPLACE = "--replace, or make restore REPLACE=1"
READY = "ready to commit"
EMPTY = "DROP SCHEMA public CASCADE; CREATE SCHEMA public;\n"
# Events are published again, since the stream was emptied. Consumers' inboxes hide those already handled.
REPUBLISH = "UPDATE public.outbox SET published_at = NULL;\n"
LEAVING_SECONDS = 10.0  # for others' sessions to end: those of a restore that failed roll back after it
OTHERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


class Session:
    """A psql process with an open transaction. Unless `commit` is called, the database stays as it was."""

    def __init__(self, name: str, url: str, errors: IO[bytes]) -> None:
        self.name, self._errors, self._url = name, errors, url
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [str(locate("psql")), "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1"],
            env=environment_for(url),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )

    def load(self, file: Path, database: Database, replace: bool) -> None:
        """Restores the dump without committing. Raises LocalError."""
        self._write("BEGIN;\n" + (EMPTY if replace else ""))
        command = [str(locate("pg_restore")), "--no-owner", "--no-privileges", "--file=-", str(file)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._errors) as script:  # noqa: S603
            assert script.stdout
            while chunk := script.stdout.read(1 << 20):
                self._write(chunk)
        if script.returncode:
            raise self._explain()
        counts = "".join(f"SELECT '{table}', count(*) FROM public.\"{table}\";\n" for table in database.rows)  # noqa: S608
        self._write(f"{REPUBLISH}{counts}\\echo {READY}\n")
        self._compare(database.rows)

    def commit(self) -> None:
        """Raises LocalError."""
        self._write("COMMIT;\n\\quit\n")
        self._process.communicate()
        if self._process.returncode:
            raise self._explain()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _compare(self, rows: Mapping[str, int]) -> None:
        """Raises LocalError unless the row counts are those of the dump."""
        assert self._process.stdout
        found = {}
        for line in iter(self._process.stdout.readline, b""):
            text = line.decode().strip()
            if text == READY:
                break
            table, bar, count = text.rpartition("|")
            if bar and table in rows:
                found[table] = int(count)
        else:
            raise self._explain()
        if found != rows:
            raise LocalError(f"the database of {self.name} came back with other rows than it had. Nothing was changed")

    def _write(self, text: str | bytes) -> None:
        assert self._process.stdin
        try:
            self._process.stdin.write(text.encode() if isinstance(text, str) else text)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._explain() from None

    def _explain(self) -> LocalError:
        self._process.kill()
        self._process.wait()
        self._errors.seek(0)
        details = self._errors.read().decode(errors="replace").strip()
        return LocalError(f"cannot restore the database of {self.name}. Nothing was changed", details=details)


def restore_databases(folder: Path, manifest: Manifest, urls: Mapping[str, str], replace: bool) -> None:
    """Restores all of them or none. Raises LocalError."""
    with ExitStack() as exits:
        sessions = []
        for name, database in manifest.databases.items():
            session = Session(name, urls[name], exits.enter_context(tempfile.TemporaryFile()))
            exits.callback(session.close)
            session.load(folder / database.dump.path, database, replace)
            sessions.append(session)
        for session in sessions:
            session.commit()


def check_target(name: str, url: str, replace: bool) -> None:
    """Raises LocalError if the database is in use, or is not empty and may not be replaced."""
    try:
        with psycopg.connect(url, connect_timeout=10, autocommit=True) as connection:
            in_use = not _wait_alone(connection)
            tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    except psycopg.OperationalError as error:
        raise LocalError(f"the database of {name}: {str(error).strip().splitlines()[0]}") from None
    if in_use:
        raise LocalError(f"the database of {name} is in use: stop the services first. Nothing was changed")
    if tables and tables[0] and not replace:
        raise LocalError(f"the database of {name} is not empty. To replace its data: {HOW_TO_REPLACE}")


def _wait_alone(connection: psycopg.Connection) -> bool:
    """Whether others' sessions in the database end in time."""
    latest = monotonic() + LEAVING_SECONDS
    while (others := connection.execute(OTHERS).fetchone()) and others[0]:
        if monotonic() > latest:
            return False
        sleep(0.1)
    return True
