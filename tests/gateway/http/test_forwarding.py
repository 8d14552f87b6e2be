"""A proxy that is not trusted is told to its operator: all users would share its address and its rate limits."""

import json
from typing import Any

import httpx
import msgspec
import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from gateway.config import GatewaySettings
from gateway.http.forwarding import IGNORED, missing_for
from tests.support.gateway import serving

SETTINGS = GatewaySettings(internal_secret="", nats_url="", redis_url="", jwt_secret="")
FORWARDED = {"x-forwarded-for": "203.0.113.9"}


async def tell(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what an application sees of the caller."""
    seen = {"ip": scope["client"][0], "ignored": scope.get(IGNORED, False)}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(seen).encode()})


def counted() -> float:
    return REGISTRY.get_sample_value("hitok_forwarded_ignored_total") or 0


@pytest.mark.parametrize(
    ("trusted", "headers", "ip", "ignored"),
    [
        ((), FORWARDED, "127.0.0.1", True),
        (("10.0.0.0/8",), FORWARDED, "127.0.0.1", True),
        (("10.0.0.0/8",), {}, "127.0.0.1", False),
        (("127.0.0.0/8",), FORWARDED, "203.0.113.9", False),
        (("*",), FORWARDED, "203.0.113.9", False),
    ],
)
async def test_only_a_header_that_is_ignored_is_told(
    trusted: tuple[str, ...], headers: dict[str, str], ip: str, ignored: bool
) -> None:
    settings, before = msgspec.structs.replace(SETTINGS, trusted_proxies=trusted), counted()
    with capture_logs() as lines:
        async with serving(tell, settings) as url, httpx.AsyncClient() as http:
            for _ in range(3):
                assert (await http.get(url, headers=headers)).json() == {"ip": ip, "ignored": ignored}
    assert counted() == before + 3 * ignored
    warned = [line["error"] for line in lines if line["log_level"] == "warning"]
    assert warned == (["UntrustedProxy('127.0.0.1')"] if ignored else []), "once a minute, with the proxy's address"


@pytest.mark.parametrize(
    ("public_url", "trusted", "missing"),
    [
        ("https://api.example.com", (), True),
        ("https://api.example.com", ("10.0.0.0/8",), False),
        ("http://api.example.com", (), False),
        ("", (), False),
    ],
)
def test_an_https_address_needs_a_trusted_proxy(public_url: str, trusted: tuple[str, ...], missing: bool) -> None:
    settings = msgspec.structs.replace(SETTINGS, public_url=public_url, trusted_proxies=trusted)
    assert ("HITOK_TRUSTED_PROXIES" in missing_for(settings)) == missing
