"""Processes that are forked from one that has imported what they share."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local.errors import LocalError
from deploy.local.template.template import MODULES, ForkedChild, Template
from tests.deploy.runs import wait_until_gone
from tests.support.servers import find_family

FORKED = "tests.deploy.fakes.forked"


@pytest.fixture
def template(tmp_path: Path) -> Iterator[Template]:
    template = Template(tmp_path / "template.log", ("tests", "json"))
    yield template
    template.stop()


def fork(template: Template, folder: Path, *arguments: str) -> ForkedChild:
    return ForkedChild(template, [FORKED, *arguments], log=folder / "forked.log", environment={"SAID": "hello"})


def wait_for(look: Callable[[], bool]) -> None:
    ends = time.monotonic() + 20
    while not look():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_a_forked_process_is_as_one_that_was_started(template: Template, tmp_path: Path) -> None:
    child = fork(template, tmp_path, "3")
    assert child.wait(20) == 3
    told = json.loads(child.read_log_tail(1))
    assert told["arguments"] == ["3"]
    assert told["said"] == "hello"
    assert told["parent"] in find_family(os.getpid())


def test_it_is_listed_by_its_own_command_and_leads_a_session(template: Template, tmp_path: Path) -> None:
    child = fork(template, tmp_path)
    wait_for(lambda: bool(child.read_log_tail(1)))
    command = Path(f"/proc/{child.pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    assert [part.decode() for part in command] == [sys.executable, "-m", FORKED]
    assert os.getsid(child.pid) == child.pid
    child.stop()
    assert child.exit_code == -signal.SIGTERM
    child.kill()


def test_processes_end_with_their_template_and_the_next_gets_a_new_one(template: Template, tmp_path: Path) -> None:
    child = fork(template, tmp_path)
    wait_for(lambda: bool(child.read_log_tail(1)))
    os.kill(int(json.loads(child.read_log_tail(1))["parent"]), signal.SIGKILL)
    wait_until_gone([child.pid])
    assert child.wait(20) == -signal.SIGKILL
    assert fork(template, tmp_path, "4").wait(20) == 4


def test_a_template_that_cannot_import_says_so(tmp_path: Path) -> None:
    template = Template(tmp_path / "template.log", ("no_such_module",))
    with pytest.raises(LocalError, match="No module named 'no_such_module'"):
        fork(template, tmp_path)
    template.stop()


def test_what_is_imported_before_the_fork_starts_no_thread(tmp_path: Path) -> None:
    """A thread does not come along, and a lock that it holds is never released."""
    template = Template(tmp_path / "template.log", MODULES)
    assert fork(template, tmp_path, "0").wait(20) == 0
    template.stop()
