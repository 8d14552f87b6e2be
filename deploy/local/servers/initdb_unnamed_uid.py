"""initdb for a user id without a name, as in a container started with `--user 1234`.

initdb, and the single-user postgres it runs, refuse such a user only because they look up the name of that id, which
they then do not need (--username is given). The copies made here ask the C library for the first user there
is instead of for this one: the two functions' names are equally long, and so are interchangeable in the
table of imported symbols. The server proper does not ask, and is run as it is.
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
    """The copy in a new `folder`, laid out as the installation is. Run it with `make_environment`."""
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
    """With the wheel's libraries, which the original finds by its own place."""
    package = original.parents[2]
    return os.environ | {"LD_LIBRARY_PATH": str(package.with_name(f"{package.name}.libs"))}
