"""The processes of hitok. Add a new service to SERVICES."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from deploy.local.errors import CONFIGURATION_ERROR, LocalError

REPLICA_STEP = 10
CORES_TO_SHARE = 4  # below it, one process of each service keeps a machine busy, together with the servers
MOST_PROCESSES = 16
PROCESSES = "HITOK_PROCESSES"  # of each service; of one of them: HITOK_<NAME>_PROCESSES
SHARED_CODE = (
    "services/kit",
    "services/objectstore",
    "services/exports",
    "services/client_json",
    "services/entities",
    "services/name_search",
    "services/outbound",
    "services/valkey",
    "protos",
)
"""What more than one process imports."""


@dataclass(frozen=True)
class Ports:
    """The ports that one setting names, separated by commas."""

    setting: str
    default: str
    any_free: bool = False
    """Only the processes of this run use them: if a default one is taken, any other will do."""

    def read(self, environ: Mapping[str, str]) -> list[int]:
        text = environ.get(self.setting, self.default)
        try:
            ports = [int(part) for part in text.split(",")]
        except ValueError:
            ports = [0]
        if not all(0 < port < 65536 for port in ports):
            raise LocalError(f"{self.setting} must name ports, not {text!r}", code=CONFIGURATION_ERROR)
        return ports


@dataclass(frozen=True)
class Service:
    """A process `python -m <module>`, and how to start and check it."""

    name: str
    module: str
    ports: tuple[Ports, ...]
    """The very first port is the one asked for health; a gRPC service's second one serves /metrics."""
    health: Literal["grpc", "http"]
    """By the gRPC health service, or by GET /health/ready."""
    database: bool = False
    """It gets a database and a role hitok_<name>, as HITOK_<NAME>_POSTGRES_URL, and brings its schema up itself."""
    stops_first: bool = False
    """It takes calls from outside, and needs the others until the last one is answered."""
    code: tuple[str, ...] = ()
    """Folders of its source, from the checkout's root: a change in one restarts it when it is run with --reload."""
    forks: bool = False
    """It is forked from a process that has imported what it shares with the others (docs/adr/0065)."""
    own_port: Ports | None = None
    """Where a process that shares its ports with others answers alone."""
    replica: int = 0
    """Each replica's ports are REPLICA_STEP higher than those of the one before."""
    beside: bool = False
    """It is one of several processes that share the ports, if it has a port of its own besides."""

    @property
    def label(self) -> str:
        return f"{self.name}-{self.replica + 1}" if self.replica else self.name

    @property
    def all_ports(self) -> tuple[Ports, ...]:
        """The first one is asked for health."""
        return (self.own_port, *self.ports) if self.beside and self.own_port else self.ports

    def shares(self, ports: Ports) -> bool:
        return self.beside and self.own_port not in (None, ports)

    def ports_by_setting(self, environ: Mapping[str, str]) -> dict[str, list[int]]:
        return {
            ports.setting: [port + (0 if self.shares(ports) else REPLICA_STEP * self.replica) for port in found]
            for ports in self.all_ports
            if (found := ports.read(environ))
        }

    @property
    def arguments(self) -> tuple[str, ...]:
        # A separate process for the migration would take as long to start as the service.
        return (self.module, "--migrate") if self.database else (self.module,)

    @property
    def processes_setting(self) -> str:
        return f"HITOK_{self.name.upper()}_PROCESSES"

    @property
    def target_setting(self) -> str:
        """The setting that tells the other processes where this gRPC service is."""
        return f"HITOK_{self.name.upper()}_TARGET"

    @property
    def postgres_setting(self) -> str:
        return f"HITOK_{self.name.upper()}_POSTGRES_URL"


def with_database(name: str, port: int) -> Service:
    """A gRPC service with a database. Its metrics port is the gRPC port plus 100."""
    setting = f"HITOK_{name.upper()}"
    ports = (
        Ports(f"{setting}_GRPC_PORT", str(port), any_free=True),
        Ports(f"{setting}_METRICS_PORT", str(port + 100), any_free=True),
    )
    code = (f"services/{name}", *SHARED_CODE)
    return Service(name, f"services.{name}", ports, health="grpc", database=True, code=code, forks=True)


SERVICES = (
    with_database("user", 18051),
    with_database("social", 18052),
    with_database("media", 18053),
    with_database("chat", 18054),
    Service(
        name="gateway",
        module="gateway",
        ports=(Ports("HITOK_HTTP_PORTS", "8888,8889"),),
        health="http",
        stops_first=True,
        forks=True,
        own_port=Ports("HITOK_GATEWAY_OWN_PORT", "18055", any_free=True),
        code=("gateway", *SHARED_CODE),
    ),
)


def spread(services: Iterable[Service], environ: Mapping[str, str]) -> list[Service]:
    """As many processes of each service as a setting says, else one per core. Those of the gateway share its ports."""
    found = []
    for service in services:
        count = read_count(service, environ)
        found += [replace(service, replica=replica, beside=count > 1) for replica in range(count)]
    return found


def read_count(service: Service, environ: Mapping[str, str]) -> int:
    """Raises LocalError."""
    for setting in (service.processes_setting, PROCESSES):
        if (text := environ.get(setting)) is not None:
            if text.isascii() and text.isdigit() and 0 < int(text) <= MOST_PROCESSES:
                return int(text)
            what = f"{setting} must be a number from 1 to {MOST_PROCESSES}, not {text!r}"
            raise LocalError(what, code=CONFIGURATION_ERROR)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_PROCESSES) if cores >= CORES_TO_SHARE else 1


def replicate(services: Iterable[Service], replicas: int) -> list[Service]:
    """Every service `replicas` times, as on machines of their own: none shares a port."""
    return [replace(service, replica=replica) for replica in range(replicas) for service in services]
