"""`make bench`, or `python -m bench NAME …`: measures and prints. Nothing here passes or fails."""

import importlib
import sys

import uvloop

from bench.report import where

NAMES = (
    "accounts",
    "social",
    "likes",
    "reactions",
    "feeds",
    "following",
    "for_you",
    "for_you_replay",
    "files",
    "media",
    "chat",
    "dialects",
    "door",
    "effects",
    "routes",
    "mixes",
    "sizes",
    "cores",
    "idle",
)

PERSONAL = ("following", "for_you", "for_you_replay", "cliff")
ROOMS = dict.fromkeys(PERSONAL, "personal_feeds.") | {"idle": "footprint."}


def module_of(name: str) -> str:
    return f"bench.{ROOMS.get(name, '')}{name}"


if __name__ == "__main__":
    where()
    for name in sys.argv[1:] or NAMES:
        uvloop.run(importlib.import_module(module_of(name)).measure())
