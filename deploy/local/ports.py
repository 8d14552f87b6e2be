"""TCP ports of this machine's loopback interface."""

import random
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from deploy.local.errors import CONFIGURATION_ERROR, LocalError
from deploy.local.services import Ports, Service

# Below the range that the kernel uses for outgoing connections.
FREE_RANGE = range(20_000, 32_000)

AssignedPorts = Mapping[str, Mapping[str, list[int]]]
"""By the service's label, then by the setting that names them."""


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # A port with only closed connections (TIME_WAIT) is free for a server.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def find_free_port(preferred: int = 0) -> int:
    """`preferred` if it is free, else a random free port, so that two searches at once rarely collide.

    Not one that a run of hitok has reserved, this run or another: its process may be about to bind it."""
    wanted = [preferred] if preferred else []
    return next(port for port in (*wanted, *shuffled_range()) if is_free(port) and not is_reserved(port))


def is_reserved(port: int) -> bool:
    """Whether a run of hitok has reserved it (PortAssigner)."""
    try:
        bind_mark(port).close()
    except OSError:
        return True
    return False


def bind_mark(port: int) -> socket.socket:
    """Raises OSError."""
    mark = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        mark.bind(("127.0.0.1", port))
    except OSError:
        mark.close()
        raise
    return mark


def shuffled_range() -> list[int]:
    return random.sample(FREE_RANGE, len(FREE_RANGE))


@contextmanager
def assign_ports(services: Sequence[Service], environ: Mapping[str, str]) -> Iterator[AssignedPorts]:
    """Yields the ports of every service, and keeps other runs of hitok from taking them while the block runs.

    Raises LocalError if a port that the caller chose, or one of the gateway's, is taken or assigned twice.
    """
    with ExitStack() as exits:
        assigner = PortAssigner(environ, exits)
        yield {
            service.label: {
                ports.setting: [assigner.assign(ports, port, shared=service.shares(ports)) for port in wanted]
                for ports, wanted in zip(service.all_ports, service.ports_by_setting(environ).values(), strict=True)
            }
            for service in services
        }


class PortAssigner:
    def __init__(self, environ: Mapping[str, str], exits: ExitStack) -> None:
        self._environ = environ
        self._exits = exits
        self._settings: dict[int, str] = {}

    def assign(self, ports: Ports, wanted: int, *, shared: bool = False) -> int:
        if shared and self._settings.get(wanted) == ports.setting:
            return wanted
        may_move = ports.any_free and ports.setting not in self._environ
        if wanted in self._settings and not may_move:
            text = f"{self._settings[wanted]} and {ports.setting} both name port {wanted}"
            raise LocalError(text, code=CONFIGURATION_ERROR)
        candidates = [wanted, *shuffled_range()] if may_move else [wanted]
        for port in candidates:
            if port not in self._settings and self._reserve(port):
                self._settings[port] = ports.setting
                return port
        raise LocalError(f"port {wanted} is in use (by another hitok?). Stop it or set {ports.setting}")

    def _reserve(self, port: int) -> bool:
        """Reserves a TCP port by binding the UDP port of the same number, which nothing here needs.

        The service binds the TCP port only later. A lock file would need a folder that all users share.
        """
        if not is_free(port):
            return False
        try:
            self._exits.callback(bind_mark(port).close)
        except OSError:
            return False
        return True
