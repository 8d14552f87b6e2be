"""TCP ports of this machine's loopback."""

import random
import socket
from collections.abc import Mapping, Sequence

from deploy.local.errors import CONFIGURATION_ERROR, LocalError
from deploy.local.services import Service

# Below the range from which the kernel takes ports for outgoing connections.
FREE_RANGE = range(20_000, 32_000)


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # A port that only has closed connections lingering (TIME_WAIT) is free to a server.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def find_free_port(preferred: int = 0) -> int:
    """`preferred` if it is free, else any other; random, so that two who search at once do not meet."""
    if preferred and is_free(preferred):
        return preferred
    return next(port for port in random.sample(FREE_RANGE, len(FREE_RANGE)) if is_free(port))


def check_ports(services: Sequence[Service], environ: Mapping[str, str]) -> None:
    """Raises LocalError if a port is taken, or given twice."""
    users: dict[int, str] = {}
    named = (item for service in services for item in service.ports_by_setting(environ).items())
    for setting, port in ((setting, port) for setting, ports in named for port in ports):
        if port in users:
            raise LocalError(f"{users[port]} and {setting} both name port {port}", code=CONFIGURATION_ERROR)
        if not is_free(port):
            raise LocalError(f"port {port} is in use (by another hitok?). Stop it or set {setting}")
        users[port] = setting
