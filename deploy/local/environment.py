"""The settings each process is given. What the caller set himself wins."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from deploy.local.backends import ADMIN_URL, Backends
from deploy.local.services import Service


def name_secrets(services: Iterable[Service]) -> list[str]:
    own = [f"database_{service.name}" for service in services if service.database]
    return ["jwt", "internal", "postgres", "valkey", "nats", *own]


def make_environment(
    service: Service,
    services: Sequence[Service],
    environ: Mapping[str, str],
    var: Path,
    secrets: Mapping[str, str],
    backends: Backends,
) -> dict[str, str]:
    settings = {
        "HITOK_REDIS_URL": backends.redis_url,
        "HITOK_NATS_URL": backends.nats_url,
        "HITOK_JWT_SECRET": secrets["jwt"],
        "HITOK_INTERNAL_SECRET": secrets["internal"],
        "HITOK_LOG_FORMAT": "console",
        # Nothing here waits to be told that we leave.
        "HITOK_DRAIN_SECONDS": "0",
        "PYTHONUNBUFFERED": "1",
        "GRPC_VERBOSITY": "NONE",  # its core would write lines of its own into our logs
    }
    for other in services:
        settings |= {ports.setting: ports.default for ports in other.ports}
        if other.health == "grpc":
            settings[other.target_setting] = f"127.0.0.1:{other.read_ports(environ)[0]}"
    if service.database:
        settings[service.postgres_setting] = backends.databases[service.name]
    # A database is for its owner only, and the admin's URL for us.
    hidden = {ADMIN_URL, *(other.postgres_setting for other in services if other is not service)}
    caller = {name: value for name, value in environ.items() if name not in hidden}
    return settings | caller | {"HITOK_VAR": str(var)}
