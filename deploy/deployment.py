"""Finds the settings of each process of a deployment: in the environment, or as `make run` wrote them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from deploy.local.data_dir import locate_folder
from deploy.local.errors import LocalError
from deploy.local.services import SERVICES
from deploy.local.settings_files import read_environ

MARK = "HITOK_INTERNAL_SECRET"  # if this one is set, all are


@dataclass(frozen=True)
class Deployment:
    """`environs` are the environments by process name."""

    environs: Mapping[str, Mapping[str, str]]
    local: bool


def find_deployment(environ: Mapping[str, str]) -> Deployment:
    """Raises LocalError if there is none."""
    environ = read_environ(environ)
    if environ.get(MARK):
        return Deployment({service.name: environ for service in SERVICES}, local=False)
    folder = locate_folder(environ) / "settings"
    files = {service.name: folder / f"{service.name}.json" for service in SERVICES}
    missing = next((file for file in files.values() if not file.exists()), None)
    if missing:
        raise LocalError(f"{missing} is missing. Start `make run` once, or set HITOK_* as for the processes")
    return Deployment({name: json.loads(file.read_bytes()) for name, file in files.items()}, local=True)


def find_url(deployment: Deployment) -> str:
    """Of its gateway: HITOK_PUBLIC_URL, else the first port on this machine."""
    environ = deployment.environs["gateway"]
    port = environ.get("HITOK_HTTP_PORTS", "8888").partition(",")[0]
    return environ.get("HITOK_PUBLIC_URL") or f"http://127.0.0.1:{port}"
