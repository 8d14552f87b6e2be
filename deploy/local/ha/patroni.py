"""A node of PostgreSQL under Patroni: the primary, or the synchronous standby that takes over when it is gone."""

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from deploy.local.child import Child
from deploy.local.ha import etcd
from deploy.local.servers.cluster import INITDB_OPTIONS, NOBODY, SUPERUSER, change_owner, find_program, run_program
from deploy.local.servers.postgres import SETTINGS
from deploy.local.servers.server import PROBE_SECONDS, NotReady, Server

SCOPE = "hitok"
REPLICATOR = "replicator"
# The seconds after which a silent primary has lost its place are the fewest that Patroni takes.
# Patroni takes these from etcd only, for all nodes alike.
SHARED = {"wal_log_hints": "on", "max_connections": SETTINGS["max_connections"]}
AGREEMENT = {"ttl": 20, "loop_wait": 2, "retry_timeout": 4, "primary_start_timeout": 0, "synchronous_mode": True}


class PatroniNode(Server):
    start_seconds: ClassVar[float] = 120  # a standby copies the primary first
    stops_first: ClassVar[bool] = True  # it gives its place up in etcd

    def __init__(
        self,
        folder: Path,
        password: str,
        *,
        port: int,
        log: Path,
        rest_ports: Mapping[str, int],
        members: Sequence[etcd.Etcd],
    ) -> None:
        super().__init__(folder, password, port=port, log=log, is_node=True)
        self._rest_port, self._members = rest_ports[self.name], members

    @property
    def url(self) -> str:
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/postgres"

    @property
    def rest_url(self) -> str:
        """Patroni's own API."""
        return f"http://127.0.0.1:{self._rest_port}"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def prepare(self) -> None:
        config = self.folder / "patroni.json"
        config.touch(mode=0o600)
        config.write_text(json.dumps(self._make_config(), indent=2))
        if os.geteuid() == 0:
            change_owner(self.folder, NOBODY)

    def spawn(self, lock: int) -> Child:
        # It starts PostgreSQL itself, so it runs as the user that PostgreSQL runs as.
        return run_program(
            Path(sys.executable),
            ["-m", "patroni", str(self.folder / "patroni.json")],
            data=self.folder / "patroni.json",
            log=self.log,
            keep_open=[lock],
            death_signal=self.stop_signal,
        )

    def probe(self) -> None:
        """The primary answers, or the standby follows it."""
        try:
            urllib.request.urlopen(f"{self.rest_url}/health", timeout=PROBE_SECONDS).close()  # noqa: S310 - http
        except (urllib.error.URLError, ConnectionError) as error:
            raise NotReady(str(error)) from None

    def _make_config(self) -> Mapping[str, Any]:
        login = {"username": SUPERUSER, "password": self.password}
        rest = f"127.0.0.1:{self._rest_port}"
        parameters = {name: value for name, value in SETTINGS.items() if name != "listen_addresses"}
        return {
            "scope": SCOPE,
            "name": self.name,
            "restapi": {"listen": rest, "connect_address": rest, "authentication": login},
            "etcd3": {
                "hosts": [f"127.0.0.1:{member.port}" for member in self._members],
                "username": etcd.USER,
                "password": self._members[0].password,
            },
            "bootstrap": {
                "dcs": AGREEMENT | {"postgresql": {"use_pg_rewind": True, "parameters": SHARED}},
                "initdb": [_initdb_option(option) for option in INITDB_OPTIONS if not option.startswith(OWN_OPTIONS)],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{self.port}",
                "connect_address": f"127.0.0.1:{self.port}",
                "data_dir": str(self.data),
                "bin_dir": str(find_program("postgres").parent),
                "pgpass": str(self.folder / "pgpass"),
                "parameters": parameters,
                "pg_hba": [
                    "host all all 127.0.0.1/32 scram-sha-256",
                    f"host replication {REPLICATOR} 127.0.0.1/32 scram-sha-256",
                ],
                "authentication": {
                    "superuser": login,
                    "rewind": login,
                    "replication": {"username": REPLICATOR, "password": self.password},
                },
            },
        }


OWN_OPTIONS = ("--username", "--auth")  # Patroni gives them itself


def _initdb_option(option: str) -> str | dict[str, str]:
    """An option of initdb as Patroni's configuration has it."""
    name, given, value = option.removeprefix("--").partition("=")
    return {name: value} if given else name
