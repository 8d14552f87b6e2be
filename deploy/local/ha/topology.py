"""The servers of a run of which any one may die, and the URLs under which clients find those that live."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from deploy.local.backends import ADMIN_URL, NATS_URL, REDIS_URL, Topology
from deploy.local.ha.etcd import Etcd
from deploy.local.ha.nats_node import NatsNode
from deploy.local.ha.patroni import PatroniNode
from deploy.local.ha.ports import load_ports
from deploy.local.ha.valkey_nodes import SERVICE, Sentinel, ValkeyNode
from deploy.local.servers.server import Server

S = TypeVar("S", bound=Server)

THREE = range(1, 4)
MEMBERS, POSTGRES, VALKEY = [f"etcd{n}" for n in THREE], ["postgres1", "postgres2"], ["valkey1", "valkey2"]
SENTINELS, NATS = [f"sentinel{n}" for n in THREE], [f"nats{n}" for n in THREE]
PEERS = [*(f"{name}-peer" for name in (*MEMBERS, *NATS)), *(f"{name}-rest" for name in POSTGRES)]


class HaTopology(Topology):
    def url(self, setting: str) -> str:
        servers = self.servers[setting]
        if setting == NATS_URL:
            return ",".join(server.url for server in servers)
        if setting == ADMIN_URL:
            databases = [server for server in servers if isinstance(server, PatroniNode)]
            return join_hosts(databases, query="target_session_attrs=read-write")
        sentinels = [server for server in servers if isinstance(server, Sentinel)]
        return join_hosts(sentinels, scheme="redis+sentinel", query=f"service={SERVICE}")


def join_hosts(servers: Sequence[Server], query: str, scheme: str = "") -> str:
    """One URL with the hosts of all servers, and the login and the path of the first."""
    first = urlsplit(servers[0].url)
    login = first.netloc.rpartition("@")[0]
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    return urlunsplit((scheme or first.scheme, f"{login}@{hosts}", first.path, query, ""))


def make_ha_topology(environ: Mapping[str, str], var: Path, secrets: Mapping[str, str]) -> HaTopology:
    """None of the servers is started yet."""
    ports = load_ports(var, [*MEMBERS, *POSTGRES, *VALKEY, *SENTINELS, *NATS, *PEERS])

    def make(kind: Callable[..., S], names: Sequence[str], secret: str, **more: Any) -> list[S]:
        return [
            kind(var / "ha" / name, secrets[secret], port=ports[name], log=var / "log" / f"{name}.log", **more)
            for name in names
        ]

    def peers(names: Sequence[str]) -> dict[str, int]:
        return {name: ports[f"{name}-peer"] for name in names}

    members = make(Etcd, MEMBERS, "etcd", peers=peers(MEMBERS))
    rest_ports = {name: ports[f"{name}-rest"] for name in POSTGRES}
    nodes = make(PatroniNode, POSTGRES, "postgres", rest_ports=rest_ports, members=members)
    primary = ports[VALKEY[0]]
    caches = make(ValkeyNode, VALKEY, "valkey", primary=primary)
    sentinels = make(Sentinel, SENTINELS, "valkey", primary=primary)
    servers: dict[str, Sequence[Server]] = {
        ADMIN_URL: [*members, *nodes],
        REDIS_URL: [*caches, *sentinels],
        NATS_URL: make(NatsNode, NATS, "nats", routes=peers(NATS)),
    }
    return HaTopology({setting: nodes for setting, nodes in servers.items() if setting not in environ})
