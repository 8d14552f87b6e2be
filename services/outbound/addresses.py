"""Which addresses on the internet this server may call when somebody else chose the URL.

A user names the URL, so it may point at the server's own network: https alone, few ports, and no address that only a
machine inside could reach (OWASP: server-side request forgery).
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import urlsplit

MAX_URL = 2_048  # characters
_THREADS = ThreadPoolExecutor(8, "resolve")
NAT64, LOCAL_NAT64 = ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48")
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]  # a host and a port to addresses; raises OSError


class AddressRefused(Exception):
    """The rules forbid the URL, or every address that its host has now."""


class Rules(NamedTuple):
    """`hosts`: only these and the names below them; empty: all. `private`: addresses of private networks too."""

    ports: Sequence[int] = (443,)
    hosts: Sequence[str] = ()
    private: bool = False


class Target(NamedTuple):
    host: str
    port: int

    @property
    def origin(self) -> str:
        return f"https://{self.host}" + ("" if self.port == 443 else f":{self.port}")


def check_url(url: str, rules: Rules) -> Target:
    """Raises AddressRefused."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 443
    except ValueError:
        raise AddressRefused("not a URL") from None
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise AddressRefused("not a plain URL")
    if parts.scheme != "https" or not host or parts.username is not None or parts.password is not None:
        raise AddressRefused("not an https URL")
    if port not in rules.ports:
        raise AddressRefused("not a permitted port")
    host = host.rstrip(".")
    if rules.hosts and not any(host == name or host.endswith(f".{name}") for name in rules.hosts):
        raise AddressRefused("not a permitted host")
    if not rules.private and not _may_be_public(host):
        raise AddressRefused("not a public address")
    return Target(f"[{host}]" if ":" in host else host, port)


async def resolve(host: str, port: int) -> Sequence[str]:
    """In threads of its own: a name server that does not answer holds no other work up."""
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_THREADS, look_up)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def permitted(addresses: Sequence[str], rules: Rules) -> list[str]:
    """Those that may be called. Raises AddressRefused if there is none."""
    kept = [address for address in addresses if rules.private or is_public(address)]
    if not kept:
        raise AddressRefused("not a public address")
    return kept


def is_public(address: str) -> bool:
    """Whether anybody on the internet can reach it. An IPv4 address inside an IPv6 one counts as itself."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address) and (inner := _embedded(ip)):
        return is_public(str(inner))
    inside = ip.is_multicast or ip.is_reserved or ip in LOCAL_NAT64 or getattr(ip, "is_site_local", False)
    return ip.is_global and not inside


def _embedded(ip: IPv6Address) -> IPv4Address | None:
    if ip in NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)


def _may_be_public(host: str) -> bool:
    """Whether a name may have a public address; of an address, whether it is one."""
    try:
        return is_public(host)
    except ValueError:
        return "." in host and not host.endswith((".localhost", ".local", ".internal"))
