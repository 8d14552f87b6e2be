"""How many connections one network may hold open, so that a single one cannot use up those of the gateway."""

import ipaddress
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress

from prometheus_client import Counter as Metric

from services.kit.context import network_of

REFUSED = Metric("hitok_network_refused", "Connections and sockets refused because their network had enough", ["what"])


class NetworkBound:
    """Counts what is open per network: an IPv4 address, or the /64 of an IPv6 address.

    `what` labels the metric. `most`: 0 for no bound. `exempt`: networks of proxies, which connect for others.
    """

    def __init__(self, what: str, most: int, exempt: Iterable[str] = ()) -> None:
        self._most, self._open = most, Counter[str]()
        self._refused = REFUSED.labels(what)
        self._exempt: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for network in exempt:
            with suppress(ValueError):  # a name or the path of a socket
                self._exempt.append(ipaddress.ip_network(network, strict=False))

    def enter(self, ip: str) -> str | None:
        """Returns what to give to `leave` once; None if the network has enough."""
        if not self._most or not ip or self._is_exempt(ip):
            return ""
        network = network_of(ip)
        if self._open[network] >= self._most:
            self._refused.inc()
            return None
        self._open[network] += 1
        return network

    def leave(self, network: str) -> None:
        if network:
            self._open[network] -= 1
            if not self._open[network]:
                del self._open[network]

    def _is_exempt(self, ip: str) -> bool:
        if not self._exempt:
            return False
        try:
            address = ipaddress.ip_address(ip)
        except ValueError:
            return False
        return any(address in network for network in self._exempt)
