"""The commands in a README, and the output that it promises."""

import re
from pathlib import Path
from typing import NamedTuple

from deploy.local.data_dir import ROOT

BLOCK = re.compile(r"^```bash\n(.*?)^```\n(?:^```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
ELIDED = "…"


class Step(NamedTuple):
    """Commands for one shell, and the expected output; "" if the README shows none."""

    commands: str
    output: str


def read_steps(name: str) -> list[Step]:
    return [Step(*(text or "" for text in found)) for found in BLOCK.findall((ROOT / name).read_text())]


def fits(told: str, printed: str) -> bool:
    """Whether the output matches, where each `…` stands for any text."""
    parts = map(re.escape, told.strip().split(ELIDED))
    return re.fullmatch(".*".join(parts), printed.strip(), re.DOTALL) is not None


def make_desk(folder: Path) -> None:
    """A folder that looks like the reader's clone, without data."""
    folder.mkdir()
    for path in ROOT.iterdir():
        if path.name not in ("var", "backups"):
            (folder / path.name).symlink_to(path)
