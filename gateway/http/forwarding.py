"""Notices a proxy in front whose X-Forwarded-For header is ignored, since HITOK_TRUSTED_PROXIES does not name it.

Then all users seem to come from the proxy's address, and share its rate limits.
"""

from typing import Any, Protocol

import structlog
from prometheus_client import Counter

from gateway.config import GatewaySettings
from gateway.http.client_info import header_of
from services.kit.log import ThrottledWarning

HEADER = b"x-forwarded-for"
IGNORED = "hitok.forwarded_ignored"  # key in the scope of a request whose header was ignored
TELL = {"x-forwarded-for-ignored": "HITOK_TRUSTED_PROXIES does not name this proxy"}  # on /health/ready

REQUESTS = Counter("hitok_forwarded_ignored", "Requests whose X-Forwarded-For header came from a proxy not trusted")
log = structlog.get_logger("http")


class UntrustedProxy(Exception):
    """The address of a neighbour that forwards for others."""


class TrustedHosts(Protocol):
    def __contains__(self, host: str | None, /) -> bool: ...


class ForwardingWatch:
    def __init__(self, trusted: TrustedHosts) -> None:
        self._trusted = trusted
        self._warn = ThrottledWarning(log, "X-Forwarded-For is ignored: HITOK_TRUSTED_PROXIES does not name the proxy")

    def look(self, ip: str, scope: Any) -> None:
        """`ip` is the neighbour's own address."""
        if ip not in self._trusted and header_of(scope, HEADER) is not None:
            REQUESTS.inc()
            scope[IGNORED] = True
            self._warn(UntrustedProxy(ip))


def missing_for(settings: GatewaySettings) -> str:
    """What the settings lack behind the proxy that an https HITOK_PUBLIC_URL implies; "" if nothing."""
    if settings.public_url.startswith("https:") and not settings.trusted_proxies:
        return (
            "HITOK_PUBLIC_URL is https, so there is a proxy in front, but HITOK_TRUSTED_PROXIES is empty:"
            " all users seem to come from the proxy, and share one rate limit"
        )
    return ""
