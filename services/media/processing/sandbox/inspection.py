"""Inspects one file in a process of its own: `python -m services.media.processing.sandbox.inspection '<request>'`.

The answer holds the file's facts, or why it is refused. `changed` says that personal metadata was removed in place.
"""

import json
import sys
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

from services.media.files.filetypes import MARKUP, is_text
from services.media.processing.sandbox.failures import failure_of
from services.media.processing.sandbox.limits import MEGABYTE, Refused, allow_cpu, answer, confine

HEAD = 4_096
SECONDS = 1.6  # of CPU for a file of any size
SECONDS_PER_MEGABYTE = {"image": 0.3, "video": 0.03, "audio": 0.03, "document": 0.03}
ROOM = 64  # megabytes by which turning or converting a picture may enlarge it
INSPECTORS = {
    "image": "pictures.pictures",
    "video": "recordings",
    "audio": "recordings",
    "document": "formats.archives",
}
DOCUMENTS = ("pdf", "txt")  # documents that are not archives
SCANNED = (b"<script", b"<html", b"<!doctype html", b"<iframe", b"<?php")


def inspect(path: Path, kind: str, format: str, limits: dict[str, int]) -> dict[str, Any]:
    """Returns the facts of the file. Raises Refused."""
    refuse_polyglot(path, kind, format)
    if format in DOCUMENTS:
        return inspect_document(path, format)
    # Imported late: each file needs only one of the libraries.
    inspector = import_module(f"services.media.processing.sandbox.{INSPECTORS[kind]}")
    allow_cpu(SECONDS + SECONDS_PER_MEGABYTE[kind] * path.stat().st_size / MEGABYTE)
    facts: dict[str, Any] = inspector.inspect(path, kind, format, limits)
    return facts


def refuse_polyglot(path: Path, kind: str, format: str) -> None:
    """Refuses a file that other programs would take for a web page, a document or an archive. Raises Refused."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if format != "zip" and zipfile.is_zipfile(path):
        raise Refused("TYPE", "also an archive")
    if format != "pdf" and b"%PDF-" in head[:1024]:
        raise Refused("TYPE", "also a PDF")
    if kind != "document" and any(mark in head.lower() for mark in MARKUP[:-2]):
        raise Refused("TYPE", "also a page")
    if kind == "image" and any(mark in path.read_bytes().lower() for mark in SCANNED):
        raise Refused("TYPE", "also a page")


def inspect_document(path: Path, format: str) -> dict[str, Any]:
    data = path.read_bytes()
    if format == "pdf" and b"%%EOF" not in data[-1024:]:
        raise Refused("BROKEN", "cut short")
    if format == "txt" and not is_text(data):
        raise Refused("TYPE", "not plain text")
    return {}


def main(request: dict[str, Any]) -> None:
    path = Path(request["path"])
    confine(request, path, path.parent, request["size"] // MEGABYTE + ROOM)
    try:
        facts = inspect(path, request["kind"], request["format"], request["limits"])
    except Exception as error:  # whatever a library raises
        failure = failure_of(error, path)
        answer(refused=failure.code, detail=failure.detail)
    answer(**facts)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
