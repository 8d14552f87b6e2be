"""Whether each process can read its settings, and whether they fit together."""

from collections.abc import Iterable

from deploy.database_services import OWNERS
from deploy.doctor.examination import Fault, Patient
from gateway.config import SERVICE as GATEWAY
from gateway.config import GatewaySettings
from services.kit.config import ConfigError, Settings, load

# By setting: who has to be given the same.
SHARED = {
    "internal_secret": (*OWNERS, GATEWAY),
    "jwt_secret": ("user", "chat", GATEWAY),
    "nats_url": (*OWNERS, GATEWAY),
    "redis_url": (*OWNERS, GATEWAY),
    "media_url": ("media", GATEWAY),
}


async def check_settings(patient: Patient) -> str:
    kinds: dict[str, type[Settings]] = {name: owner.settings for name, owner in OWNERS.items()}
    faults = []
    for name, kind in (kinds | {GATEWAY: GatewaySettings}).items():
        try:
            patient.settings[name] = load(kind, name, patient.deployment.environs[name])
        except ConfigError as error:
            faults.append(f"{name}: {error}")
    if not faults:
        faults = list(_compare(patient))
    if faults:
        raise Fault("; ".join(faults))
    return f"{len(patient.settings)} processes can read theirs"


def _compare(patient: Patient) -> Iterable[str]:
    for field, names in SHARED.items():
        values = {getattr(patient.settings[name], field) for name in names}
        if len(values) > 1:
            yield f"HITOK_{field.upper()} has to be the same for {', '.join(names)}"
    urls = {name: patient.service(name).postgres_url for name in OWNERS}
    for name, url in urls.items():
        if list(urls.values()).count(url) > 1:
            yield f"HITOK_{name.upper()}_POSTGRES_URL is another service's, too: each needs a database of its own"
