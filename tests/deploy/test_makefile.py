"""What make does before it runs anything, and what it tells who forgot something."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.dockerfile import ROOT

MADE_ANEW = "-m venv --clear .venv"


def make(folder: Path, *arguments: str) -> str:
    """What it prints; with `--dry-run` what it would run."""
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    return done.stdout + done.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """With an environment that is up to date."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "requirements.lock").touch()
    python = Path(sys.executable).resolve()
    subprocess.run([python, "-m", "venv", "--without-pip", folder / ".venv"], check=True)
    make(folder, "--touch", "run")
    return folder


def test_an_environment_that_is_up_to_date_is_left_alone(checkout: Path) -> None:
    assert make(checkout, "--dry-run", "run").strip() == "exec .venv/bin/python -m deploy.local"


def test_the_environment_of_a_moved_checkout_is_made_anew(checkout: Path) -> None:
    assert MADE_ANEW in make(checkout.rename(checkout.with_name("moved")), "--dry-run", "run")


def test_the_environment_is_made_anew_for_another_interpreter(checkout: Path) -> None:
    assert MADE_ANEW not in make(checkout, "--dry-run", "run", f"PYTHON={Path(sys.executable).resolve()}")
    other = checkout / "other-python"
    other.write_text("#!/bin/sh\necho .venv/installed-of-another\n")
    other.chmod(0o755)
    assert f"{other} {MADE_ANEW}" in make(checkout, "--dry-run", "run", f"PYTHON={other}")


def test_the_environment_is_made_anew_when_its_interpreter_is_gone(checkout: Path) -> None:
    for name in ("python", "python3"):
        (checkout / ".venv/bin" / name).unlink()
        (checkout / ".venv/bin" / name).symlink_to("/nowhere/python3")
    assert MADE_ANEW in make(checkout, "--dry-run", "run")


@pytest.mark.parametrize(
    ("arguments", "options"),
    [(["T=tests/social"], "tests/social"), (["K=a or b"], '-k "a or b"'), (["T=a b", "K=c"], 'a b -k "c"')],
)
def test_only_the_tests_asked_for_are_run(checkout: Path, arguments: list[str], options: str) -> None:
    commands = make(checkout, "--dry-run", "test", *arguments).split()
    assert commands == [".venv/bin/python", "-m", "pytest", *options.split()]


def test_a_restore_of_no_backup_is_explained(checkout: Path) -> None:
    assert make(checkout, "restore").startswith("error: name the backup: make restore FROM=backups/")
