"""Checks the disks of this machine, and compares clocks with its own."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from deploy.doctor.checks import CheckContext, Concern
from services.media.config import MediaSettings

LEAST_FREE, ENOUGH = 0.1, 20 << 30  # share of a disk, as in the alert DiskFull; bytes that are enough on any disk
CLOCK_SECONDS = 5.0  # more than a request takes; tokens, codes and tickets live for 30 s and longer


async def check_disk(context: CheckContext) -> str:
    """Of HITOK_VAR and of a store in a folder, where these are on this machine."""
    settings = context.settings["media"]
    assert isinstance(settings, MediaSettings)
    places = [settings.var]
    if urlsplit(settings.media_url).scheme == "file":
        places.append(unquote(urlsplit(settings.media_url).path))
    return await asyncio.to_thread(_look_for_room, places)


def _look_for_room(places: Sequence[str]) -> str:
    found = [place for place in places if Path(place).is_dir()]
    for place in found:
        size, _, free = shutil.disk_usage(place)
        if free < min(LEAST_FREE * size, ENOUGH):
            raise Concern(
                f"only {free >> 20} MB of the disk of {place} are free; uploads and writes are refused when it is full."
                " Make room, or move HITOK_VAR or HITOK_MEDIA_URL to another disk"
            )
    return f"room in {' and '.join(found)}" if found else f"{places[0]} is not on this machine"


def clock_concern(whose: str, ahead: float) -> str:
    """ "" unless that clock differs too much from this machine's. `ahead`: seconds."""
    if abs(ahead) <= CLOCK_SECONDS:
        return ""
    way = "ahead of" if ahead > 0 else "behind"
    return f"the clock of {whose} is {abs(ahead):.0f} s {way} this machine's. Have NTP set both, else tokens end early"
