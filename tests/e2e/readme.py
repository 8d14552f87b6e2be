"""What a README tells its reader to do, and what it says that comes of it."""

import re
from pathlib import Path
from typing import NamedTuple

from deploy.local.data_dir import ROOT

BLOCK = re.compile(r"^```bash\n(.*?)^```\n(?:^```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
ELIDED = "…"


class Step(NamedTuple):
    """Commands for one shell, and what they print; "" if the README does not say."""

    commands: str
    output: str


def read_steps(name: str) -> list[Step]:
    return [Step(*(text or "" for text in found)) for found in BLOCK.findall((ROOT / name).read_text())]


def fits(told: str, printed: str) -> bool:
    """Whether it is what was told, with anything in the place of each `…`."""
    parts = map(re.escape, told.strip().split(ELIDED))
    return re.fullmatch(".*".join(parts), printed.strip(), re.DOTALL) is not None


def make_desk(folder: Path) -> None:
    """A folder that looks like the reader's clone, without data."""
    folder.mkdir()
    for path in ROOT.iterdir():
        if path.name not in ("var", "backups"):
            (folder / path.name).symlink_to(path)
