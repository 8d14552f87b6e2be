"""HITOK_<NAME>_FILE for what runs and tends a whole hitok."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.deployment import find_deployment, find_url
from deploy.local.errors import CONFIGURATION_ERROR, LocalError
from deploy.local.settings_files import read_environ
from deploy.unknown_settings import find_unknown_settings


def test_files_are_read_and_what_is_empty_counts_as_unset(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql://a@b/c\n")
    given = {"HITOK_POSTGRES_URL_FILE": str(file), "HITOK_VAR": "", "PATH": "", "SSL_CERT_FILE": "/x"}
    assert list(find_unknown_settings(given)) == []
    assert read_environ(given) == {"HITOK_POSTGRES_URL": "postgresql://a@b/c", "PATH": "", "SSL_CERT_FILE": "/x"}


def test_a_file_that_is_not_there_and_a_setting_given_twice_are_refused() -> None:
    with pytest.raises(LocalError, match="HITOK_NATS_URL_FILE: cannot read /nowhere") as refused:
        read_environ({"HITOK_NATS_URL_FILE": "/nowhere"})
    assert refused.value.code == CONFIGURATION_ERROR
    with pytest.raises(LocalError, match="are both set"):
        read_environ({"HITOK_VAR": "x", "HITOK_VAR_FILE": "/nowhere"})


def test_the_tools_find_a_deployment_by_files(tmp_path: Path) -> None:
    for name, text in {"secret": "s" * 40, "url": "https://api.example.com"}.items():
        (tmp_path / name).write_text(text)
    deployment = find_deployment(
        {"HITOK_INTERNAL_SECRET_FILE": str(tmp_path / "secret"), "HITOK_PUBLIC_URL_FILE": str(tmp_path / "url")}
    )
    assert not deployment.local
    assert find_url(deployment) == "https://api.example.com"


def test_a_service_s_command_gets_what_the_files_say(tmp_path: Path) -> None:
    """The kept settings and the file of one of them are not "both set"."""
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "user.json").write_text(json.dumps({"HITOK_LOG_LEVEL": "bad"}))
    (tmp_path / "level").write_text("info")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HITOK_")}
    environ |= {"HITOK_VAR": str(tmp_path), "HITOK_LOG_LEVEL_FILE": str(tmp_path / "level")}
    command = [sys.executable, "-m", "deploy.local", "user", "list"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "are both set" in done.stderr) == (2, False), done.stderr
