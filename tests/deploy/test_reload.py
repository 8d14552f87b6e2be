"""`make run RELOAD=1`: a source change restarts the processes that run that source, and no others."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.data_dir import ROOT
from deploy.local.processes.reload import find_changes, find_syntax_error, read_snapshot
from deploy.local.services import SERVICES
from tests.deploy.runs import Run, running
from tests.support.servers import Servers


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """The source folders of the stand-ins, by name."""
    for name in ("web", "other"):
        (tmp_path / "code" / name).mkdir(parents=True)
        (tmp_path / "code" / name / "module.py").write_text("x = 1\n")
    return tmp_path / "code"


@pytest.fixture
def starting(servers: Servers, tmp_path: Path, code: Path) -> Iterator[Run]:
    settings = {
        "HITOK_REDIS_URL": servers.redis_url,
        "HITOK_NATS_URL": servers.nats_url,
        "HITOK_TEST_CODE": str(code),
    }
    with running("--reload", "web", "other", var=tmp_path / "var", settings=settings) as run:
        yield run


@pytest.fixture
def run(starting: Run) -> Run:
    starting.wait_until_healthy()
    return starting


def pids(run: Run, name: str) -> list[str]:
    """The process id of each start, in order."""
    return re.findall(rf"^{name} +healthy .*pid (\d+)", run.output, re.MULTILINE)


def test_only_the_process_whose_file_changed_is_restarted(run: Run, code: Path) -> None:
    (code / "web/new.py").write_text("y = 2\n")
    run.wait_for(r"^web +stopped[^\0]*^web +healthy")
    assert len(set(pids(run, "web"))) == 2
    assert len(set(pids(run, "other"))) == 1
    assert "restart in" not in run.output, "a change is no crash"
    assert run.stop() == 0


def test_a_syntax_error_stops_the_process_until_the_next_save(run: Run, code: Path) -> None:
    (code / "web/module.py").write_text("x = (\n")
    run.wait_for(rf"^web is stopped: {code}/web/module.py:1: '\(' was never closed. It starts again when")
    run.wait_for(r"^web +stopped")
    assert len(set(pids(run, "web"))) == 1
    (code / "web/module.py").write_text("x = 12\n")
    run.wait_for(r"^web +stopped[^\0]*^web +healthy")
    os.kill(int(pids(run, "web")[-1]), 9)  # it is watched as before
    run.wait_for(r"^web ended \(killed by signal 9\)")
    assert run.stop() == 0


def test_every_process_has_its_own_code_and_what_all_share() -> None:
    code = {service.name: set(service.code) for service in SERVICES}
    assert all(read_snapshot(folders) for folders in code.values())
    shared = set.intersection(*code.values())
    folders = {f"services/{path.parent.name}" for path in (ROOT / "services").glob("*/__init__.py")}
    assert set.union(*code.values()) == {*folders, "gateway", "protos"}, "nothing is left out"
    assert [folders - shared for folders in code.values()] == [
        {"services/user"}, {"services/social"}, {"services/media"}, {"services/chat"}, {"gateway"},
    ]  # fmt: skip


def test_a_removed_file_is_a_change_and_no_syntax_error(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.touch()
    before = read_snapshot([str(tmp_path)])
    file.unlink()
    assert find_changes(before, read_snapshot([str(tmp_path)])) == [file]
    assert find_syntax_error([file]) == ""


def test_a_change_while_the_processes_start_is_seen(starting: Run, code: Path) -> None:
    starting.wait_for(r"^web +starting")
    (code / "web/new.py").write_text("y = 2\n")
    starting.wait_for(r"^web +stopped[^\0]*^web +healthy")
    assert starting.stop() == 0
