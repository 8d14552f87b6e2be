"""Inspects files in a child process that is limited in time and memory, and shut in (processing/sandbox/box/)."""

from pathlib import Path
from typing import Any, NamedTuple

from services.kit.context import current_caller
from services.kit.errors import HitokError
from services.media.config import MediaSettings
from services.media.errors import (
    FileBroken,
    FileCodecUnsupported,
    FileEncrypted,
    FileTooLarge,
    FileTruncated,
    FileTypeRefused,
    StoreUnavailable,
)
from services.media.files.children import children
from services.media.files.filetypes import AUDIO, IMAGE, SOUND_ONLY, TYPES, VIDEO, FileType
from services.media.files.turns import InspectionTurns

REFUSALS: dict[str, type[HitokError]] = {
    "TYPE": FileTypeRefused,
    "LARGE": FileTooLarge,
    "BROKEN": FileBroken,
    "KILLED": FileBroken,  # the child ended without an answer
    "DIED": FileBroken,  # the child ran out of memory
    "AWAY": StoreUnavailable,  # the disk is full, or the file is not there
    "TRUNCATED": FileTruncated,
    "ENCRYPTED": FileEncrypted,
    "CODEC": FileCodecUnsupported,
}
BOUNDS = {IMAGE: (20, 1_536), VIDEO: (120, 1_536), AUDIO: (120, 1_536)}  # seconds of CPU, megabytes
DOCUMENT_BOUNDS = (20, 1_024)
WALL = 2  # times the CPU bound
AT_ONCE = 3
WAITING = 20  # files of one user
QUEUE_SECONDS = 60.0
LAST = 10  # niceness of inspections for users who are set apart
SHORT = 0.08  # seconds of CPU that an inspection takes before it is a long one

run_child = children.run_child
_turns = InspectionTurns(AT_ONCE, WAITING, QUEUE_SECONDS)
set_apart = _turns.set_apart


class Facts(NamedTuple):
    type: FileType
    width: int = 0
    height: int = 0
    duration: int = 0  # milliseconds
    codec: str = ""
    blurhash: str = ""
    changed: bool = False  # whether personal metadata was removed in place


async def probe(settings: MediaSettings, path: Path, type: FileType) -> Facts:
    """Returns the facts of a file, and removes personal metadata from pictures and recordings.

    The file has a folder of its own, which is all that the child may write to.

    Raises an error of REFUSALS, or ProbeOverloaded.
    """
    request = _request(settings, path, type)
    async with _turns.take_either(current_caller.get().user_id) as apart:
        found = await _inspect(request, apart)
        if found.get("refused") == "KILLED" and found["took"] < request["cpu_seconds"]:  # not by its own limits
            found = await _inspect(request, apart)
    if "refused" in found:
        raise REFUSALS[found["refused"]](found["detail"])
    extension = found.get("extension", type.extension)
    if type.kind == VIDEO and not found["has_video"]:
        extension = SOUND_ONLY.get(extension, extension)
    known = {name: found[name] for name in Facts._field_defaults if name in found}
    return Facts(TYPES[extension], **known)


async def _inspect(request: dict[str, Any], apart: bool) -> dict[str, Any]:
    """The child's answer. One that takes long goes behind others, and its user's other files, too; who is set apart
    begins behind them."""
    seconds = request["cpu_seconds"] * WALL
    async with children.started("inspection", request) as child:
        if apart:
            child.go_behind(LAST)
        elif not await child.ends_within(SHORT, seconds):
            _turns.slow_down(current_caller.get().user_id)
            child.go_behind()
        return await child.answer(seconds)


def _request(settings: MediaSettings, path: Path, type: FileType) -> dict[str, Any]:
    cpu_seconds, memory = BOUNDS.get(type.kind, DOCUMENT_BOUNDS)
    return {
        "path": str(path),
        "size": path.stat().st_size,
        "kind": type.kind,
        "format": type.format,
        "limits": {"pixels": settings.max_pixels, "seconds": settings.max_duration_seconds},
        "cpu_seconds": cpu_seconds,
        "memory_megabytes": memory,
    }
