"""The processes of hitok. Add a new service to SERVICES."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from deploy.local.errors import CONFIGURATION_ERROR, LocalError

REPLICA_STEP = 10
SHARED_CODE = (
    "services/kit",
    "services/objectstore",
    "services/exports",
    "services/client_json",
    "services/entities",
    "services/name_search",
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
    replica: int = 0
    """Each replica's ports are REPLICA_STEP higher than those of the one before."""

    @property
    def label(self) -> str:
        return f"{self.name}-{self.replica + 1}" if self.replica else self.name

    def ports_by_setting(self, environ: Mapping[str, str]) -> dict[str, list[int]]:
        step = REPLICA_STEP * self.replica
        return {ports.setting: [port + step for port in ports.read(environ)] for ports in self.ports}

    def read_ports(self, environ: Mapping[str, str]) -> list[int]:
        return [port for ports in self.ports_by_setting(environ).values() for port in ports]

    @property
    def arguments(self) -> tuple[str, ...]:
        # A separate process for the migration would take as long to start as the service.
        return (self.module, "--migrate") if self.database else (self.module,)

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
        code=("gateway", *SHARED_CODE),
    ),
)


def replicate(services: Iterable[Service], replicas: int) -> list[Service]:
    """Every service `replicas` times."""
    return [replace(service, replica=replica) for replica in range(replicas) for service in services]
