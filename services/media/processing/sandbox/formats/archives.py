"""Checks ZIP archives and the document formats based on ZIP. Nothing is unpacked."""

import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

from services.media.processing.sandbox.limits import MEGABYTE, Refused

MAX_ENTRIES = 10_000
MAX_UNPACKED = 1_024 * MEGABYTE
MAX_RATIO = 200
DOCUMENTS = {"word/document.xml": "docx", "xl/workbook.xml": "xlsx", "ppt/presentation.xml": "pptx"}


def inspect(path: Path, kind: str, format: str, limits: dict[str, int]) -> dict[str, Any]:
    """Returns the extension: `zip`, or that of the document format. Raises Refused."""
    return {"extension": _check(path)}


def _check(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            entries, names = archive.infolist(), set(archive.namelist())
            tail = len(archive.comment) + 22
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise Refused("BROKEN", str(error)) from None
    with path.open("rb") as file:
        file.seek(-tail, 2)
        if file.read(4) != b"PK\x05\x06" or (entries and min(entry.header_offset for entry in entries)):
            raise Refused("TYPE", "more than an archive")
    unpacked = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_ENTRIES or unpacked > MAX_UNPACKED or unpacked > MAX_RATIO * (path.stat().st_size + MEGABYTE):
        raise Refused("LARGE", "unpacks to too much")
    if any(name.startswith(("/", "\\")) or ".." in PurePosixPath(name.replace("\\", "/")).parts for name in names):
        raise Refused("TYPE", "leaves its folder when unpacked")
    if "[Content_Types].xml" not in names:
        return "zip"
    if any(name.endswith("vbaProject.bin") for name in names):
        raise Refused("TYPE", "holds macros")
    return next((extension for part, extension in DOCUMENTS.items() if part in names), "zip")
