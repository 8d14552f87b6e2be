"""The commit of the running code."""

import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def read_revision(environ: Mapping[str, str]) -> str:
    """HITOK_REVISION, which images set; else the commit of this checkout; "" if neither is known."""
    return environ.get("HITOK_REVISION") or _ask_git()


@cache
def _ask_git() -> str:
    """12 digits, with `-dirty` if files of the checkout were changed."""
    if not (ROOT / ".git").exists():  # it may be unpacked inside another repository
        return ""
    command = ["git", "--no-optional-locks", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=5, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):  # no git, or git does not trust this folder
        return ""
    return done.stdout.strip()
