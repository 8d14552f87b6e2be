"""The data folder (HITOK_VAR): its lock, its checks, and the secrets made for it."""

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.local.errors import LocalError, explain_os_errors

# A new Postgres cluster takes 40 MB, its write-ahead log grows to 256 MB.
LEAST_FREE_MB = 300
ROOT = Path(__file__).parents[2]


def locate_folder(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HITOK_VAR") or ROOT / "var").absolute()


@contextmanager
def open_folder(var: Path) -> Iterator[None]:
    """Creates the folder if it is missing, and locks it against other supervisors."""
    with explain_os_errors(var):
        var.mkdir(parents=True, exist_ok=True, mode=0o700)
        if var.stat().st_uid == os.geteuid():
            var.chmod(0o700)  # also a folder of an earlier release
        lock = os.open(var / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        take_lock(lock, var)
        check_free_space(var)
        yield
    finally:
        os.close(lock)


def take_lock(lock: int, var: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 20, 0).decode().strip() or "?"
        raise LocalError(
            f"{var} is in use by another hitok (process {holder}). Stop it, or set HITOK_VAR to another folder"
        ) from None
    with explain_os_errors(var):
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)


def check_free_space(var: Path) -> None:
    free = shutil.disk_usage(var).free >> 20
    if free < LEAST_FREE_MB:
        raise LocalError(
            f"only {free} MB are free on the disk of {var}, hitok needs {LEAST_FREE_MB} MB. "
            "Free some space, or set HITOK_VAR to a folder on another disk"
        )


def load_secrets(var: Path, names: Iterable[str]) -> dict[str, str]:
    """Reads var/secrets.json, after adding a new secret for each of `names` that is missing."""
    file = var / "secrets.json"
    with explain_os_errors(file):
        known = read_secrets(file) if file.exists() else {}
        missing = {name: secrets.token_hex(32) for name in names if name not in known}
        if missing:
            write_private(file, known | missing)
    return known | missing


def read_secrets(file: Path) -> dict[str, str]:
    try:
        known = json.loads(file.read_bytes())
    except ValueError:
        known = None
    if not isinstance(known, dict) or not all(isinstance(value, str) for value in known.values()):
        raise LocalError(f"{file} is broken. Bring back a copy, or remove {file.parent} to start empty")
    return known


def write_private(file: Path, content: Mapping[str, str | int]) -> None:
    """Writes a temporary file and renames it: half a file of secrets would lock the users out of their data."""
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
        json.dump(dict(content), output, indent=2)
        output.flush()
        os.fsync(output.fileno())
    draft.replace(file)
