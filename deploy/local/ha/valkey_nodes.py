"""Valkey as a primary with a replica, and the Sentinels that put the replica in the primary's place."""

from pathlib import Path

from deploy.local.child import Child
from deploy.local.servers.valkey import Valkey, find_valkey

SERVICE = "hitok"
FAILOVER = """\
port {port}
bind 127.0.0.1
dir "{folder}"
requirepass {password}
sentinel sentinel-pass {password}
sentinel monitor {service} 127.0.0.1 {primary} 2
sentinel auth-pass {service} {password}
sentinel down-after-milliseconds {service} 2000
sentinel failover-timeout {service} 10000
"""


class ValkeyNode(Valkey):
    """Its configuration is written once: after that, Sentinel writes into it whom the node follows."""

    def __init__(self, folder: Path, password: str, *, port: int, log: Path, primary: int) -> None:
        """`primary` is the port of the node that begins as the primary; it may be this one."""
        super().__init__(folder, password, port=port, log=log, is_node=True)
        self._primary = primary

    def prepare(self) -> None:
        if self.config.exists():
            return
        super().prepare()
        follow = "" if self._primary == self.port else f"replicaof 127.0.0.1 {self._primary}\n"
        with self.config.open("a") as config:
            config.write(f"masterauth {self.password}\n{follow}")


class Sentinel(ValkeyNode):
    def prepare(self) -> None:
        if self.config.exists():
            return
        self.config.touch(mode=0o600)
        self.config.write_text(
            FAILOVER.format(
                port=self.port, folder=self.folder, password=self.password, primary=self._primary, service=SERVICE
            )
        )

    def spawn(self, lock: int) -> Child:
        return Child(
            [str(find_valkey()), str(self.config), "--sentinel"],
            log=self.log,
            death_signal=self.stop_signal,
            keep_open=[lock],
        )
