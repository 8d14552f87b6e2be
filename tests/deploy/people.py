"""The user that runs a command: root, or an ordinary user."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from deploy.local.servers.cluster import is_open_to_all

ORDINARY_UID = 1234
CAP_DAC_READ_SEARCH = 2

AS_ROOT = os.geteuid() == 0


def as_ordinary_user(*command: str) -> list[str]:
    """The command that runs `command` as the ordinary user; unchanged if we are not root. Where only root can read the
    interpreter, the user gets the right to read all files, and to write none."""
    if not AS_ROOT:
        return list(command)
    capabilities = []
    if not is_open_to_all(Path(sys.executable).resolve()):
        if not has_capability(CAP_DAC_READ_SEARCH):
            pytest.skip("no ordinary user can run this Python")
        capabilities = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed")
    ids = [f"--reuid={ORDINARY_UID}", f"--regid={ORDINARY_UID}", "--clear-groups"]
    return ["setpriv", *ids, *capabilities, *command]


def give_to_ordinary_user(folder: Path) -> None:
    if AS_ROOT:
        os.chown(folder, ORDINARY_UID, ORDINARY_UID)


def has_capability(number: int) -> bool:
    status = Path("/proc/self/status").read_text()
    effective = next(line for line in status.splitlines() if line.startswith("CapEff"))
    return bool(int(effective.split()[1], 16) >> number & 1)
