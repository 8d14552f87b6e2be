"""Runs a service's own command with the settings of the local run: `python -m deploy.local user --help`."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from deploy.local.data_dir import locate_folder, write_private
from deploy.local.errors import LocalError, explain_os_errors
from deploy.local.services import Service
from deploy.local.settings_files import read_environ


def keep_settings(var: Path, service: Service, environment: Mapping[str, str]) -> None:
    """Stores the settings for `run_command`, which may be called from another terminal."""
    folder = var / "settings"
    with explain_os_errors(folder):
        folder.mkdir(exist_ok=True, mode=0o700)
        own = {name: value for name, value in environment.items() if name.startswith("HITOK_")}
        write_private(folder / f"{service.label}.json", own)


def run_command(arguments: Sequence[str], services: Sequence[Service]) -> NoReturn:
    """Replaces this process with `python -m services.<service> <arguments>`. Raises LocalError."""
    service = next((service for service in services if service.name == arguments[0]), None)
    if service is None:
        names = ", ".join(service.name for service in services)
        raise LocalError(f"there is no service {arguments[0]!r}, only {names}")
    environ = read_environ()
    file = locate_folder(environ) / "settings" / f"{service.name}.json"
    if not file.exists():
        raise LocalError(f"{file} is missing: run `make run` first, it holds the settings")
    environment = environ | json.loads(file.read_bytes())
    os.execve(sys.executable, [sys.executable, "-m", service.module, *arguments[1:]], environment)  # noqa: S606
