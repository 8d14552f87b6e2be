"""Finds HITOK_* variables that no process reads, usually misspelt ones."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

import msgspec

from deploy.database_services import DATABASE_SERVICES
from gateway.config import SERVICE as GATEWAY
from gateway.config import GatewaySettings
from services.kit.config import FILE, PREFIX, Settings, variable_names

ADMIN_URL, SCRATCH_URL = "HITOK_POSTGRES_URL", "HITOK_SCRATCH_POSTGRES_URL"
FOR_TESTS = tuple(  # settings of tests and drills (docs/faults.md)
    f"HITOK_{name}" for name in ("TEST_", "SOAK_", "CHAOS_", "HA_", "UPGRADE_", "HOSTILE_", "ALERTS", "CORPUS")
)


def find_unknown_settings(environ: Mapping[str, str], more_known: Iterable[str] = ()) -> Iterator[str]:
    """One sentence per variable, with the most similar known name."""
    ours = {name + ending for name in (ADMIN_URL, SCRATCH_URL) for ending in ("", FILE)}
    known = {*ours, *list_settings(), *more_known}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known and not name.startswith(FOR_TESTS):
            nearest = get_close_matches(name, known, n=1)
            yield f"no process reads {name}" + (f". Is {nearest[0]} meant?" if nearest else "")


def list_settings() -> Iterator[str]:
    kinds: dict[str, type[Settings]] = {name: service.settings for name, service in DATABASE_SERVICES.items()}
    for service, kind in (kinds | {GATEWAY: GatewaySettings}).items():
        for field in msgspec.structs.fields(kind):
            for name in variable_names(service, field.name):
                yield from (name, name + FILE)
