"""PostgreSQL, Valkey and NATS for a run: started here, or named by settings that the caller set."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.local.data_dir import ROOT
from deploy.local.errors import LocalError
from deploy.local.servers import nats, postgres, valkey
from deploy.local.servers.server import Server
from deploy.local.services import Service

ADMIN_URL, REDIS_URL, NATS_URL = "HITOK_POSTGRES_URL", "HITOK_REDIS_URL", "HITOK_NATS_URL"
KINDS: dict[str, tuple[type[Server], int]] = {
    ADMIN_URL: (postgres.Postgres, postgres.PORT),
    REDIS_URL: (valkey.Valkey, valkey.PORT),
    NATS_URL: (nats.Nats, nats.PORT),
}


@dataclass(frozen=True)
class Topology:
    """The servers to start, by setting: those that no setting of the caller names."""

    servers: Mapping[str, Sequence[Server]]

    def url(self, setting: str) -> str:
        """Once the servers of the setting have answered."""
        return self.servers[setting][0].url


@dataclass(frozen=True)
class Backends:
    """Where the servers are, and the URL of each service's own database."""

    redis_url: str
    nats_url: str
    databases: Mapping[str, str]


def make_topology(
    services: Sequence[Service], environ: Mapping[str, str], var: Path, secrets: Mapping[str, str]
) -> Topology:
    """One server of each kind, none of them started yet."""
    servers = {}
    for setting, (kind, port) in KINDS.items():
        if setting not in environ:
            log = var / "log" / f"{kind.name}.log"
            servers[setting] = [kind(var / kind.name, secrets[kind.name], port=port, log=log)]
    if not any(service.database and service.postgres_setting not in environ for service in services):
        servers.pop(ADMIN_URL, None)
    return Topology(servers)


def locate(environ: Mapping[str, str], topology: Topology) -> Backends:
    """The backends without their databases. Valkey and NATS must be up."""
    redis_url, nats_url = (environ.get(setting) or topology.url(setting) for setting in (REDIS_URL, NATS_URL))
    return Backends(redis_url, nats_url, {})


def prepare_backends(
    services: Sequence[Service],
    environ: Mapping[str, str],
    topology: Topology,
    secrets: Mapping[str, str],
) -> Backends:
    """Creates the databases. The servers must be up. Raises LocalError if a database cannot be created."""

    own = [service for service in services if service.database]
    databases = {s.name: environ[s.postgres_setting] for s in own if s.postgres_setting in environ}
    passwords = {f"hitok_{s.name}": secrets[f"database_{s.name}"] for s in own if s.name not in databases}
    if passwords:
        own_server = next(iter(topology.servers.get(ADMIN_URL, ())), None)
        made = make_databases(environ.get(ADMIN_URL) or topology.url(ADMIN_URL), passwords, own_server)
        databases |= {name.removeprefix("hitok_"): url for name, url in made.items()}
    return replace(locate(environ, topology), databases=databases)


def make_databases(admin_url: str, passwords: Mapping[str, str], server: Server | None) -> dict[str, str]:
    task = json.dumps({"admin_url": admin_url, "passwords": passwords})
    command = [sys.executable, "-m", "deploy.local.databases"]
    done = subprocess.run(  # noqa: S603 - our own program
        command, input=task, capture_output=True, text=True, cwd=ROOT, check=False
    )
    if done.returncode == 0:
        return dict(json.loads(done.stdout))
    if server and "password authentication failed" in done.stderr:
        raise LocalError(
            f"{server.folder} was made with another password than the one in secrets.json. "
            "Bring that file back, or move the folder away to start empty"
        )
    raise LocalError((done.stderr.strip().splitlines() or ["cannot prepare the databases"])[-1])
