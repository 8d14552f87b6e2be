"""The code of another release, and a run of hitok each of whose processes may run the code of one or the other."""

import io
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg import sql

from deploy.local.services import Service
from tests.e2e.everything import Everything
from tests.e2e.upgrade.hook.sitecustomize import SWITCHED, SWITCHES

ROOT = Path(__file__).parents[3]
HOOK = Path(__file__).with_name("hook")
LOCK = "requirements.lock"
# The launcher of a release that forks the processes from one that has imported their code: here each begins anew.
LAUNCH = """import runpy
from deploy.local.services import SERVICES
for service in SERVICES:
    vars(service).update(forks=False)
runpy.run_module("deploy.local", run_name="__main__", alter_sys=True)"""
# A partition gets the columns of its table.
TABLES = """SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
 AND NOT relispartition AND relname <> 'alembic_version'"""


class Release(NamedTuple):
    """A checkout, and the Python that has its packages."""

    folder: Path
    python: Path


HERE = Release(ROOT, Path(sys.executable))


def git(*arguments: str) -> bytes:
    """Raises CalledProcessError."""
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout


def unpack(revision: str, folder: Path) -> Release:
    """The release of that revision, with an environment of its own if its packages are others than ours."""
    with tarfile.open(fileobj=io.BytesIO(git("archive", revision))) as archive:
        archive.extractall(folder, filter="data")
    if (folder / LOCK).read_bytes() == (ROOT / LOCK).read_bytes():
        return Release(folder, HERE.python)
    uv, python = HERE.python.with_name("uv"), folder / ".venv/bin/python"
    subprocess.run([uv, "venv", "--quiet", "--python", HERE.python, folder / ".venv"], check=True)
    subprocess.run([uv, "pip", "sync", "--quiet", "--python", python, "--require-hashes", folder / LOCK], check=True)
    return Release(folder, python)


class MixedRun(Everything):
    """Begins with all processes on `release`."""

    def __init__(self, var: Path, release: Release, replicas: int, **settings: str) -> None:
        self._switches = var.with_name("switches")
        self._switches.mkdir()
        hook = {"PYTHONPATH": str(HOOK), SWITCHES: str(self._switches)}
        super().__init__(var, replicas, ha=False, **settings, **hook)
        self._command[:3] = [str(release.python), "-c", LAUNCH]
        self._folder = release.folder

    def switch(self, service: Service, release: Release | None) -> None:
        """The process runs that release once it is restarted; None: the one that the run began with."""
        port = self._environ_of(service)[service.ports[0].setting].partition(",")[0]
        file = self._switches / f"{service.module}-{port}"
        if release:
            file.write_text(f"{release.python}\n{release.folder}\n")
        else:
            file.unlink(missing_ok=True)

    def folder_of(self, label: str) -> Path:
        """Of the checkout whose code the process runs."""
        return Path(f"/proc/{self.pid_of(label)}/cwd").readlink()

    def migrate(self, service: Service, release: Release) -> None:
        command = [str(release.python), "-m", service.module, "migrate"]
        subprocess.run(command, check=True, capture_output=True, cwd=release.folder, env=self._environ_of(service))

    def add_columns(self, service: Service) -> None:
        """A column in each table, which no code knows, as the migrations of any release to come may add."""
        with psycopg.connect(self._environ_of(service)[service.postgres_setting], autocommit=True) as connection:
            for (table,) in connection.execute(TABLES).fetchall():
                column = sql.SQL("ALTER TABLE {} ADD COLUMN of_the_future bigint NOT NULL DEFAULT 0")
                connection.execute(column.format(sql.Identifier(table)))

    def _environ_of(self, service: Service) -> dict[str, str]:
        """Of its process, which runs."""
        text = Path(f"/proc/{self.pid_of(service.label)}/environ").read_text()
        return dict(line.split("=", 1) for line in text.split("\0") if "=" in line and not line.startswith(SWITCHED))
