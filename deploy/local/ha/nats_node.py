"""A node of a NATS cluster. The stream of the events is on three of them (services/kit/events/stream.py)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.local.servers.nats import USER, Nats


class NatsNode(Nats):
    def __init__(self, folder: Path, password: str, *, port: int, log: Path, routes: Mapping[str, int]) -> None:
        """`routes` are the ports at which the nodes speak with each other, by their names."""
        super().__init__(folder, password, port=port, log=log, is_node=True)
        self._routes = routes

    def make_config(self) -> dict[str, Any]:
        login = f"{USER}:{self.password}"
        cluster = {
            "name": "hitok",
            "listen": f"127.0.0.1:{self._routes[self.name]}",
            "authorization": {"user": USER, "password": self.password},
            "routes": [f"nats-route://{login}@127.0.0.1:{port}" for port in self._routes.values()],
        }
        return super().make_config() | {"server_name": self.name, "cluster": cluster}
