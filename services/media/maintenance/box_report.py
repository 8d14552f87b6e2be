"""Says at the start which walls shut the decoders in on this machine (processing/sandbox/box/)."""

import shutil

import structlog
from prometheus_client import Gauge

from services.media.files import probe
from services.media.storage import Storage

SECONDS = 30.0
NEEDED = ("landlock", "seccomp")  # a service that root did not start has no user ids to give
WALL = Gauge("hitok_media_box", "Walls around the decoders: 1 in force, 0 not; of landlock the version", ["wall"])
log = structlog.get_logger("box")


async def report_box(storage: Storage) -> dict[str, int]:
    """Shuts a child in as decoders are, logs which walls it has, and sets the metric. Returns that."""
    folder = storage.new_folder()
    try:
        told = await probe.run_child("report", {"scratch": str(folder)}, SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    walls = {wall: int(told.get(wall, 0)) for wall in ("uid", "landlock", "seccomp")}
    for wall, in_force in walls.items():
        WALL.labels(wall).set(in_force)
    if missing := [wall for wall in NEEDED if not walls[wall]]:
        log.warning("decoders are not wholly shut in", missing=missing, read="docs/security.md", **walls)
    else:
        log.info("decoders are shut in", **walls)
    return walls
