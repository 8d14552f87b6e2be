"""Makes the settings of each process. Those that the caller set take precedence."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from deploy.local.backends import ADMIN_URL, Backends
from deploy.local.ports import AssignedPorts
from deploy.local.services import Service
from deploy.revision import read_revision

CONNECTIONS = 180  # of the 200 that PostgreSQL takes here


def name_secrets(services: Iterable[Service]) -> list[str]:
    own = [f"database_{service.name}" for service in services if service.database]
    return ["jwt", "internal", "vapid", "postgres", "valkey", "nats", *own]


def make_environment(
    service: Service,
    services: Sequence[Service],
    environ: Mapping[str, str],
    var: Path,
    secrets: Mapping[str, str],
    backends: Backends,
    ports: AssignedPorts,
) -> dict[str, str]:
    settings = {
        "HITOK_REDIS_URL": backends.redis_url,
        "HITOK_NATS_URL": backends.nats_url,
        "HITOK_JWT_SECRET": secrets["jwt"],
        "HITOK_INTERNAL_SECRET": secrets["internal"],
        "HITOK_PUSH_VAPID_KEY": secrets["vapid"],
        "HITOK_LOG_FORMAT": "console",
        "HITOK_WEB_APP": "true",
        "HITOK_NETWORK_CONNECTIONS": "0",  # this machine is one network
        "HITOK_NETWORK_SOCKETS": "0",
        "HITOK_CORS_ORIGINS": "loopback",
        "HITOK_REVISION": read_revision(environ),
        "PYTHONUNBUFFERED": "1",
        "GRPC_VERBOSITY": "NONE",  # gRPC's core would write into our logs
    }
    if not any(other.replica and not other.beside for other in services):
        # There is no load balancer that needs time to notice that a process stops.
        settings["HITOK_DRAIN_SECONDS"] = "0"
    if service.beside:
        settings |= share(service, sum(other.database for other in services))
    for name in {other.target_setting for other in services if other.health == "grpc"}:
        replicas = [f"127.0.0.1:{next(iter(ports[s.label].values()))[0]}" for s in services if s.target_setting == name]
        settings[name] = replicas[0] if len(replicas) == 1 else f"ipv4:{','.join(replicas)}"
    if service.database:
        settings[service.postgres_setting] = backends.databases[service.name]
    # A service gets only the URL of its own database; the admin's URL is for the supervisor.
    hidden = {ADMIN_URL, *(other.postgres_setting for other in services if other.name != service.name)}
    caller = {name: value for name, value in environ.items() if name not in hidden}
    own = {setting: ",".join(map(str, numbers)) for setting, numbers in ports[service.label].items()}
    return settings | caller | own | {"HITOK_VAR": str(var)}


def share(service: Service, databases: int) -> dict[str, str]:
    """What one of several processes takes of what they share. `databases`: how many processes connect to PostgreSQL."""
    connections = CONNECTIONS // max(databases, 1) - 1  # one of each process listens
    settings = {"HITOK_POSTGRES_POOL": str(max(2, min(connections, 10))), "HITOK_BCRYPT_THREADS": "1"}
    # One process converts videos, as without others: FFmpeg uses several cores.
    return settings | ({"HITOK_WORKERS": "0"} if service.replica else {})
