"""A Valkey Cluster of three servers, without replicas."""

import secrets
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from redis import Redis

from deploy.local.ports import find_free_port
from deploy.local.servers.server import Server
from deploy.local.servers.valkey import Valkey

NODES, SLOTS = 3, 16_384
READY_SECONDS = 30.0


class ClusterNode(Valkey):
    def prepare(self) -> None:
        super().prepare()
        if not self._has_answered:
            self.bus_port = find_free_port()
        with self.config.open("a") as config:
            config.write(f"hz 50\ncluster-enabled yes\ncluster-port {self.bus_port}\ncluster-node-timeout 1000\n")


class ValkeyCluster:
    def __init__(self, nodes: Sequence[ClusterNode]) -> None:
        self.nodes = nodes

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"redis+cluster://:{self.nodes[0].password}@{hosts}/0"

    def client_of(self, node: ClusterNode) -> Any:
        return Redis(port=node.port, password=node.password, decode_responses=True)

    def join(self) -> None:
        """Gives each node its share of the slots, and introduces all to the first. Returns when they agree."""
        first = self.nodes[0]
        for number, node in enumerate(self.nodes):
            with closing(self.client_of(node)) as client:
                slots = range(SLOTS * number // NODES, SLOTS * (number + 1) // NODES)
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", slots[0], slots[-1])
                client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", first.port, first.bus_port)
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        ends = time.monotonic() + READY_SECONDS
        for node in self.nodes:
            with closing(self.client_of(node)) as client:
                while "cluster_state:ok" not in (info := str(client.execute_command("CLUSTER", "INFO"))):
                    assert time.monotonic() < ends, info
                    time.sleep(0.05)


@contextmanager
def valkey_cluster(folder: Path) -> Iterator[ValkeyCluster]:
    password = secrets.token_hex(16)
    with ExitStack() as exits:
        nodes = [ClusterNode(folder / f"valkey{number}", password, durable=False) for number in range(NODES)]
        for node in nodes:
            exits.callback(node.kill)
        with ThreadPoolExecutor(NODES) as threads:
            list(threads.map(Server.start, nodes))
        cluster = ValkeyCluster(nodes)
        cluster.join()
        yield cluster
