"""Inspects files in a child process that is limited in time and memory, and shut in (processing/sandbox/box/)."""

import asyncio
import json
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import structlog

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
from services.media.files.filetypes import AUDIO, IMAGE, SOUND_ONLY, TYPES, VIDEO, FileType
from services.media.files.turns import Turns

ROOT = Path(__file__).parents[3]
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
OUT_OF_TIME = (-signal.SIGPROF, -signal.SIGXCPU)  # ended by limits.allow_cpu, or by its limit
WALL = 2  # times the CPU bound
AT_ONCE = 2
WAITING = 20  # files of one user
QUEUE_SECONDS = 60.0

_turns = Turns(AT_ONCE, WAITING, QUEUE_SECONDS)
log = structlog.get_logger("probes")


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
    cpu_seconds, memory = BOUNDS.get(type.kind, DOCUMENT_BOUNDS)
    request = {
        "path": str(path),
        "kind": type.kind,
        "format": type.format,
        "limits": {"pixels": settings.max_pixels, "seconds": settings.max_duration_seconds},
        "cpu_seconds": cpu_seconds,
        "memory_megabytes": memory,
    }
    async with _turns.take(current_caller.get().user_id):
        begun = time.monotonic()
        found = await run_child("inspection", request, cpu_seconds * WALL)
        if found.get("refused") == "KILLED" and time.monotonic() - begun < cpu_seconds:  # not by its own limits
            found = await run_child("inspection", request, cpu_seconds * WALL)
    if "refused" in found:
        raise REFUSALS[found["refused"]](found["detail"])
    extension = found.get("extension", type.extension)
    if type.kind == VIDEO and not found["has_video"]:
        extension = SOUND_ONLY[extension]
    known = {name: found[name] for name in Facts._field_defaults if name in found}
    return Facts(TYPES[extension], **known)


async def run_child(name: str, request: dict[str, Any], seconds: float) -> dict[str, Any]:
    """The answer of the sandboxed program `name` to the request. A child that dies or hangs means a broken file."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"services.media.processing.sandbox.{name}",
        json.dumps(request),
        cwd=ROOT,
        env={"PYTHONDONTWRITEBYTECODE": "1"},  # without our secrets
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), seconds)
        answer: dict[str, Any] = json.loads(output)
        return answer
    except (TimeoutError, ValueError) as error:
        log.info("child gave up", child=name, code=process.returncode, error=repr(error)[:100])
        code = "BROKEN" if isinstance(error, TimeoutError) or process.returncode in OUT_OF_TIME else "KILLED"
        return {"refused": code, "detail": "takes too long or too much to read"}
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
