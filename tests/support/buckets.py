"""A real S3 server (SeaweedFS, from its wheel) with a bucket for a test."""

import json
import random
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from deploy.local.ports import is_free

KEY, SECRET = "hitok-test", secrets.token_hex(16)
CREDENTIALS = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
START_SECONDS, STARTS = 60, 3
ROLES = ("master", "volume", "filer", "s3")
# Each role also listens 10,000 above, for gRPC. Neither is a port that deploy/local or the kernel would choose.
PORTS = range(9_000, 9_990)


class ServerLost(Exception):
    """The server ended by itself, for example because a port was taken, or did not answer in time."""


class Bucket:
    """An empty bucket of a server that can be killed and started again."""

    def __init__(self, folder: Path, ports: dict[str, int]) -> None:
        self.port, self._folder = ports["s3"], folder
        folder.mkdir(parents=True)
        identity = {"name": "test", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
        users = folder / "s3.json"
        users.write_text(json.dumps({"identities": [identity]}))
        self._command = [str(Path(sys.executable).parent / "weed"), "server", f"-dir={folder}", f"-s3.config={users}"]
        self._command += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-master.volumeSizeLimitMB=64"]
        # Else two servers at once want the same ports for them.
        self._command += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
        self._command += [f"-{role}.port={port}" for role, port in ports.items()]

    def url(self, port: int = 0) -> str:
        """HITOK_MEDIA_URL, for a process with CREDENTIALS in its environment; `port`: of what stands before it."""
        return f"s3://bucket/some/prefix?endpoint=http://127.0.0.1:{port or self.port}&region=us-east-1"

    def start(self) -> None:
        """Raises ServerLost."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=self._folder)
        try:
            _wait_for(f"http://127.0.0.1:{self.port}/", self._process)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """Stopping in an orderly way takes it half a minute."""
        self._process.kill()
        self._process.wait()


@contextmanager
def running_server(folder: Path) -> Iterator[Bucket]:
    for start in range(STARTS):
        with _reserved_ports(len(ROLES)) as ports:
            bucket = Bucket(folder / f"start{start}", dict(zip(ROLES, ports, strict=True)))
            try:
                bucket.start()
            except ServerLost:
                if start == STARTS - 1:
                    raise
                continue
            try:
                yield bucket
            finally:
                bucket.kill()
            return


@contextmanager
def running_bucket(folder: Path) -> Iterator[str]:
    """HITOK_MEDIA_URL of an empty bucket, for a process with CREDENTIALS in its environment."""
    with running_server(folder) as bucket:
        yield bucket.url()


@contextmanager
def _reserved_ports(count: int) -> Iterator[list[int]]:
    """Ports that are free, as are those 10,000 above. The UDP port of the same number, which nothing needs, keeps each
    from the other workers of the suite."""
    ports: list[int] = []
    with ExitStack() as exits:
        for port in random.sample(PORTS, len(PORTS)):
            mark = exits.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            try:
                mark.bind(("127.0.0.1", port))
            except OSError:
                continue
            if is_free(port) and is_free(port + 10_000):
                ports.append(port)
            if len(ports) == count:
                break
        yield ports


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            httpx.get(url)
            return
        except httpx.TransportError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServerLost from None
            time.sleep(0.1)
