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


@contextmanager
def running_bucket(folder: Path) -> Iterator[str]:
    """HITOK_MEDIA_URL of an empty bucket, for a process with CREDENTIALS in its environment."""
    with ExitStack() as exits:
        for start in range(STARTS):
            try:
                port = exits.enter_context(_running_server(folder / f"start{start}"))
                break
            except ServerLost:
                if start == STARTS - 1:
                    raise
        yield f"s3://bucket/some/prefix?endpoint=http://127.0.0.1:{port}&region=us-east-1"


@contextmanager
def _running_server(folder: Path) -> Iterator[int]:
    """The port of its S3 API. Raises ServerLost."""
    folder.mkdir(parents=True)
    identity = {"name": "test", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
    users = folder / "s3.json"
    users.write_text(json.dumps({"identities": [identity]}))
    with _reserved_ports(len(ROLES)) as found, (folder / "log").open("wb") as log:
        ports = dict(zip(ROLES, found, strict=True))
        command = [str(Path(sys.executable).parent / "weed"), "server", f"-dir={folder}", f"-s3.config={users}"]
        command += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-master.volumeSizeLimitMB=64"]
        command += ["-s3.port.iceberg=0", "-s3.port.lance=0"]  # else two servers at once want the same ports for them
        command += [f"-{role}.port={port}" for role, port in ports.items()]
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        try:
            _wait_for(f"http://127.0.0.1:{ports['s3']}/", process)
            yield ports["s3"]
        finally:
            process.kill()  # stopping in an orderly way takes it half a minute
            process.wait()


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
