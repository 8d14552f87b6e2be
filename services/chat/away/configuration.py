"""The drivers that the settings turn on (docs/push.md)."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import jwt
import msgspec

from services.chat.away.drivers.apns import Apns, Identity
from services.chat.away.drivers.driver import APNS, FCM, UNIFIED_PUSH, WEB_PUSH, Driver
from services.chat.away.drivers.fcm import Account, Fcm
from services.chat.away.drivers.vapid import Vapid, read_key
from services.chat.away.drivers.webpush import WebPush
from services.chat.config import ChatSettings
from services.kit.config import ConfigError
from services.outbound.addresses import Rules
from services.outbound.client import OutboundClient, open_client

OWN_HOSTS = 64  # requests to a host that the operator chose, at the same time


class Drivers(NamedTuple):
    by_kind: Mapping[str, Driver]
    rules: Rules  # for the URLs of devices
    vapid_public_key: str  # empty: no Web Push


@asynccontextmanager
async def open_drivers(settings: ChatSettings) -> AsyncIterator[Drivers]:
    """Raises ConfigError naming the setting."""
    private = settings.push_private_networks
    rules = Rules(settings.push_ports, settings.push_hosts, private)
    drivers: dict[str, Driver] = {}
    vapid = _vapid(settings)
    async with AsyncExitStack() as stack:
        if vapid:
            client = await stack.enter_async_context(open_client(rules, settings.push_ca))
            drivers[WEB_PUSH] = drivers[UNIFIED_PUSH] = WebPush(client, rules, vapid)
        if settings.push_fcm_account:
            account = _account(settings)
            client = await _own_client(stack, settings, settings.push_fcm_url, account.token_uri)
            drivers[FCM] = Fcm(client, account, settings.push_fcm_url)
        if settings.push_apns_key:
            client = await _own_client(stack, settings, settings.push_apns_url)
            drivers[APNS] = Apns(client, _identity(settings), settings.push_apns_url)
        yield Drivers(drivers, rules, vapid.public_key if vapid else "")


async def _own_client(stack: AsyncExitStack, settings: ChatSettings, *urls: str) -> OutboundClient:
    """For hosts that the operator chose."""
    parts = [urlsplit(url) for url in urls]
    rules = Rules([each.port or 443 for each in parts], [each.hostname or "" for each in parts], private=True)
    return await stack.enter_async_context(open_client(rules, settings.push_ca, per_host=OWN_HOSTS))


def _vapid(settings: ChatSettings) -> Vapid | None:
    if not settings.push_vapid_key:
        return None
    try:
        return Vapid(read_key(settings.push_vapid_key), settings.push_contact)
    except ValueError:
        raise ConfigError("HITOK_PUSH_VAPID_KEY is no key: `python -m services.chat vapid-key` makes one") from None


def _account(settings: ChatSettings) -> Account:
    try:
        account = msgspec.json.decode(settings.push_fcm_account, type=Account)
        _try_key(account.private_key, "RS256")
    except (msgspec.DecodeError, ValueError, TypeError, jwt.PyJWTError):
        raise ConfigError("HITOK_PUSH_FCM_ACCOUNT is not the JSON of a service account") from None
    return account


def _identity(settings: ChatSettings) -> Identity:
    if not (settings.push_apns_key_id and settings.push_apns_team_id and settings.push_apns_topic):
        raise ConfigError("HITOK_PUSH_APNS_KEY needs HITOK_PUSH_APNS_KEY_ID, _TEAM_ID and _TOPIC")
    try:
        _try_key(settings.push_apns_key, "ES256")
    except (ValueError, TypeError, jwt.PyJWTError):
        raise ConfigError("HITOK_PUSH_APNS_KEY is no private key of P-256 in PEM") from None
    keys: Any = (settings.push_apns_key_id, settings.push_apns_team_id, settings.push_apns_topic)
    return Identity(settings.push_apns_key, *keys)


def _try_key(key: str, algorithm: str) -> None:
    jwt.encode({}, key, algorithm)
