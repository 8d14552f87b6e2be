"""Finds the servers' programs in the PyPI wheels. The wheels' Python code is not imported."""

import sysconfig
from importlib.util import find_spec
from pathlib import Path

from deploy.local.errors import LocalError


def find_in_package(package: str, pattern: str) -> Path:
    """The first file that matches `pattern` inside an installed package."""
    spec = find_spec(package)
    found = Path(spec.origin).parent.glob(pattern) if spec and spec.origin else iter(())
    return check_found(next(found, None), package)


def find_script(name: str, distribution: str) -> Path:
    script = Path(sysconfig.get_path("scripts"), name)
    return check_found(script if script.exists() else None, distribution)


def check_found(path: Path | None, distribution: str) -> Path:
    if path is None:
        raise LocalError(f"{distribution} is not installed (or not for this system). Run `make clean`, then again")
    return path
