"""Which commit runs."""

import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def read_revision(environ: Mapping[str, str]) -> str:
    """HITOK_REVISION, which an image sets; else the commit of this checkout; "" when neither is known."""
    return environ.get("HITOK_REVISION") or _ask_git()


@cache
def _ask_git() -> str:
    """12 digits, and `-dirty` when files of the checkout were changed."""
    if not (ROOT / ".git").exists():  # unpacked inside another repository, perhaps
        return ""
    command = ["git", "--no-optional-locks", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=5, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):  # no git, or none that trusts this folder
        return ""
    return done.stdout.strip()
