"""Checks that each process can read its settings, and that the settings agree with each other."""

from collections.abc import Iterable

from deploy.database_services import DATABASE_SERVICES
from deploy.doctor.checks import CheckContext, Concern, Fault
from deploy.unknown_settings import find_unknown_settings
from gateway.config import SERVICE as GATEWAY
from gateway.config import GatewaySettings
from gateway.http.forwarding import missing_for
from services.kit.config import ConfigError, Settings, load

# The processes that need the same value, by setting.
SHARED = {
    "internal_secret": (*DATABASE_SERVICES, GATEWAY),
    "jwt_secret": ("user", "chat", GATEWAY),
    "nats_url": (*DATABASE_SERVICES, GATEWAY),
    "redis_url": (*DATABASE_SERVICES, GATEWAY),
    "media_url": ("media", GATEWAY),
}


async def check_settings(context: CheckContext) -> str:
    kinds: dict[str, type[Settings]] = {name: owner.settings for name, owner in DATABASE_SERVICES.items()}
    faults = []
    for name, kind in (kinds | {GATEWAY: GatewaySettings}).items():
        try:
            context.settings[name] = load(kind, name, context.deployment.environs[name])
        except ConfigError as error:
            faults.append(f"{name}: {error}")
    if not faults:
        faults = list(_compare(context))
    if faults:
        raise Fault("; ".join(faults))
    concerns = [*find_unknown_settings(context.deployment.environs[GATEWAY]), *_missing_behind_a_proxy(context)]
    if concerns:
        raise Concern("; ".join(concerns))
    return f"{len(context.settings)} processes can read theirs"


def _missing_behind_a_proxy(context: CheckContext) -> Iterable[str]:
    gateway = context.settings[GATEWAY]
    assert isinstance(gateway, GatewaySettings)
    if missing := missing_for(gateway):
        yield missing


def _compare(context: CheckContext) -> Iterable[str]:
    for field, names in SHARED.items():
        values = {getattr(context.settings[name], field) for name in names}
        if len(values) > 1:
            yield f"HITOK_{field.upper()} has to be the same for {', '.join(names)}"
    urls = {name: context.service(name).postgres_url for name in DATABASE_SERVICES}
    for name, url in urls.items():
        if list(urls.values()).count(url) > 1:
            yield f"HITOK_{name.upper()}_POSTGRES_URL is another service's, too: each needs a database of its own"
