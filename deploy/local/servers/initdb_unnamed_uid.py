"""Runs initdb for a user id without a name, as in a container started with `--user 1234`.

initdb, and the single-user postgres that it runs, refuse such a user because they look up the name of the id, which
they do not need (--username is given). The copies made here look up the first existing user instead: the names of the
two C library functions have the same length, so one can replace the other in the table of imported symbols. The server
proper does no such lookup and is used as it is.
"""

import os
import pwd
from pathlib import Path


def has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def copy_initdb(original: Path, folder: Path) -> Path:
    """Writes the copy into a new `folder`, laid out like the installation. Run it with `make_environment`."""
    installation = original.parents[1]
    copies = folder / original.parent.name
    copies.mkdir(parents=True)
    for part in ("lib", "share"):
        (folder / part).symlink_to(installation / part)
    for program in ("initdb", "postgres"):
        code = original.with_name(program).read_bytes()
        (copies / program).write_bytes(code.replace(b"\0getpwuid\0", b"\0getpwent\0"))
        (copies / program).chmod(0o755)
    return copies / original.name


def make_environment(original: Path) -> dict[str, str]:
    """Adds the wheel's libraries, which the original finds relative to its own path."""
    package = original.parents[2]
    return os.environ | {"LD_LIBRARY_PATH": str(package.with_name(f"{package.name}.libs"))}
