"""A database as an earlier release left it."""

import shutil
from pathlib import Path

from services.kit import schema


def upgrade_to(url: str, migrations: Path, revision: str, folder: Path) -> None:
    """Applies the migrations up to that revision, from copies of them in an empty folder."""
    for file in migrations.glob("[0-9]*.py"):
        if file.name[:4] <= revision:
            shutil.copy(file, folder)
    schema.upgrade(url, folder)
