"""CHANGELOG.md, in the form of https://keepachangelog.com."""

import re
from datetime import date

UNRELEASED = "## [Unreleased]\n"
NEXT = re.compile(r"^## \[", re.MULTILINE)


def unreleased(text: str) -> str:
    """The entries since the last release; "" if there are none."""
    _, _, rest = text.partition(UNRELEASED)
    found = NEXT.search(rest)
    return rest[: found.start() if found else None].strip()


def close_section(text: str, version: str, day: date) -> str:
    """Moves the unreleased entries under `version`, and leaves an empty unreleased section above."""
    return text.replace(UNRELEASED, f"{UNRELEASED}\n## [{version}] - {day.isoformat()}\n", 1)
