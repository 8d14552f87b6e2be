"""CHANGELOG.md, in the form of https://keepachangelog.com."""

import re
from datetime import date

UNRELEASED = "## [Unreleased]\n"
NEXT = re.compile(r"^## \[", re.MULTILINE)


def unreleased(text: str) -> str:
    """What was written since the last release; "" if nothing."""
    _, _, rest = text.partition(UNRELEASED)
    found = NEXT.search(rest)
    return rest[: found.start() if found else None].strip()


def close_section(text: str, version: str, day: date) -> str:
    """The same text with the unreleased section under `version`, and an empty one above it."""
    return text.replace(UNRELEASED, f"{UNRELEASED}\n## [{version}] - {day.isoformat()}\n", 1)
