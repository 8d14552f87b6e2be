"""A decoder that was taken over reaches nothing: each way out is tried from inside the box."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from services.media.files import probe
from services.media.files.children import children
from services.media.files.children.children import ROOT
from services.media.maintenance.box_report import report_box
from tests.support.media import Running, image, upload
from tests.support.social import new_user

ORDINARY = 64_714
ALLOWED = {"read the source", "write to the scratch folder", "start a thread"}
LIMITED = {"write too much", "open too many"}
FILES = {"write outside", "overwrite outside", "delete outside", "write to the source", "write to our code"}
READS = {"read a secret", "list a folder", "read an environment", "read a memory"}
LEFT = {"leave a link", "leave a pipe"}
PROCESSES = {"run a program", "spawn a program", "fork", "trace the service", "signal the service"}
NETWORK = {"connect", "unix socket"}


Run = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def as_program(request: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.media.processing.intruder", json.dumps(request)]
    told: dict[str, Any] = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60).stdout)
    return told


def intrude(
    folder: Path, port: int, uid: int = 0, without: tuple[str, ...] = (), run: Run = as_program
) -> tuple[dict[str, Any], set[str]]:
    """What was in force, and the attempts that were refused."""
    scratch, outside = folder / "scratch", folder / "outside"
    for made in (scratch, outside):
        made.mkdir()
    for name in ("secret", "source"):
        (outside / name).write_text("of somebody")
    request = {
        "scratch": str(scratch),
        "outside": str(outside),
        "port": port,
        "uid": uid,
        "without": without,
        "cpu_seconds": 20,
        "memory_megabytes": 1_024,
    }
    if uid:
        for path in (folder, *folder.parents):
            if Path(gettempdir()) in path.parents:
                path.chmod(0o711)  # pytest's own folders are closed to other users
        for path in (scratch, outside, *outside.iterdir()):
            os.chown(path, uid, uid)
    told = run(request)
    if told["walls"]["uid"] or told["walls"]["landlock"]:
        assert (outside / "secret").read_text() == (outside / "source").read_text() == "of somebody"
    return told["walls"], {name for name, met in told["results"].items() if met != "done"}


def expected(walls: dict[str, Any]) -> set[str]:
    """What must be refused by the walls that this kernel has."""
    refused = LIMITED | {"become root"} if walls["seccomp"] or os.geteuid() else LIMITED
    if walls["landlock"]:
        refused = refused | FILES | READS | LEFT | {"run a program", "trace the service"}
    if walls["uid"]:
        refused = refused | FILES | {"read an environment", "read a memory", "signal the service"}
    if walls["seccomp"]:
        refused = refused | NETWORK | PROCESSES | LEFT
    if walls["landlock"] >= 4:
        refused = refused | {"connect"}
    return refused


@pytest.mark.parametrize("without", [(), ("landlock",), ("seccomp",), ("landlock", "seccomp")])
def test_nothing_outside_can_be_reached(tmp_path: Path, port: int, without: tuple[str, ...]) -> None:
    walls, refused = intrude(tmp_path, port, without=without)
    assert not any(walls[name] for name in without), "it says what is missing"
    assert walls["uid"] == (os.geteuid() == 0)
    assert expected(walls) <= refused
    assert not ALLOWED & refused


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("without", [(), ("landlock",)])
def test_an_ordinary_user_is_shut_in_as_well(tmp_path: Path, port: int, without: tuple[str, ...]) -> None:
    walls, refused = intrude(tmp_path, port, ORDINARY, without)
    assert not walls["uid"]
    assert expected(walls) <= refused
    assert not ALLOWED & refused


@pytest.mark.parametrize(
    ("walls", "missing"),
    [
        ({"uid": 1, "landlock": 0, "seccomp": 1}, ["landlock"]),  # a kernel before 5.13
        ({"uid": 0, "landlock": 6, "seccomp": 0}, ["seccomp"]),
        ({}, ["landlock", "seccomp"]),  # a child that could tell nothing
        ({"uid": 0, "landlock": 1, "seccomp": 1}, None),
    ],
)
async def test_the_service_warns_of_what_is_missing(
    local: Running, monkeypatch: pytest.MonkeyPatch, walls: dict[str, int], missing: list[str] | None
) -> None:
    async def told(*_: object) -> dict[str, int]:
        return walls

    monkeypatch.setattr(probe, "run_child", told)
    with capture_logs() as logs:
        await report_box(local.service.storage)
    (entry,) = logs
    assert (entry["log_level"], entry.get("missing")) == ("warning" if missing else "info", missing)


@pytest.mark.parametrize("absent", [(), ("landlock",), ("landlock", "seccomp")])
async def test_files_are_taken_on_any_kernel(
    local: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, absent: tuple[str, ...]
) -> None:
    """Children of an older kernel: a module that they load first takes the walls away."""
    none = {"landlock": "landlock.version = lambda libc: 0", "seccomp": "seccomp.restrict = lambda libc: False"}
    first = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n" + "".join(
        f"from services.media.processing.sandbox.box import {wall}; {none[wall]}\n" for wall in absent
    )
    (tmp_path / "sitecustomize.py").write_text(first)
    monkeypatch.setattr(children, "ENVIRONMENT", children.ENVIRONMENT | {"PYTHONPATH": str(tmp_path)})
    async with children.forking():
        walls = await report_box(local.service.storage)
        assert not any(walls[wall] for wall in absent)
        assert (await upload(local, new_user(), image("PNG"))).width == 16


async def test_the_service_says_what_is_in_force(media: Running) -> None:
    walls = await report_box(media.service.storage)
    assert walls["uid"] == (os.geteuid() == 0)
    for wall, in_force in walls.items():
        assert REGISTRY.get_sample_value("hitok_media_box", {"wall": wall}) == in_force
