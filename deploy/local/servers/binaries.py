"""Finds the servers' programs: in the PyPI wheels, else on the PATH, where their version fits.

The wheels' Python code is not imported. A wheel may lack a program for this system, or hold one that does not start
here (an older C library, say).
"""

import re
import shutil
import subprocess
import sysconfig
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from deploy.local.errors import LocalError

SECONDS = 20  # for a program to say its version
VERSION = re.compile(r"(\d+)\.(\d+)")
# Where distributions put programs that several versions of a server have.
MORE_PATHS = {"PostgreSQL": "/usr/lib/postgresql/{major}/bin:/usr/pgsql-{major}/bin"}


def find_program_of(
    server: str, names: tuple[str, ...], wheel: Path | None, least: tuple[int, int], only_major: bool = False
) -> Path:
    """The wheel's program if it starts, else the first of `names` on the PATH whose version is at least `least`.

    `only_major`: of that major version. Raises LocalError.
    """
    if wheel and read_version(wheel):
        return wheel
    places = MORE_PATHS.get(server, "").format(major=least[0])
    for name in names:
        for path in filter(None, (shutil.which(name), shutil.which(name, path=places))):
            version = read_version(Path(path))
            if version and version >= least and (not only_major or version[0] == least[0]):
                return Path(path)
    wanted = f"{least[0]}" if only_major else f"{least[0]}.{least[1]} or newer"
    reason = (
        f"{wheel} does not start here" if wheel else f"the wheel of {server} is not installed (or not for this system)"
    )
    raise LocalError(
        f"{reason}, and no {' or '.join(names)} of version {wanted} is on the PATH. Run `make clean`, then again"
    )


@cache
def read_version(program: Path) -> tuple[int, int] | None:
    """Major and minor version, as `--version` says; None if it does not start."""
    try:
        done = subprocess.run(  # noqa: S603 - a server of ours, or the operator's
            [str(program), "--version"], capture_output=True, text=True, timeout=SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = VERSION.search(done.stdout)
    return (int(found[1]), int(found[2])) if found else None


def find_in_package(package: str, pattern: str) -> Path | None:
    """The first file that matches `pattern` inside an installed package."""
    spec = find_spec(package)
    found = Path(spec.origin).parent.glob(pattern) if spec and spec.origin else iter(())
    return next(found, None)


def find_script(name: str) -> Path | None:
    script = Path(sysconfig.get_path("scripts"), name)
    return script if script.exists() else None
