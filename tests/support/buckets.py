"""A real S3 server (SeaweedFS, from its wheel) with a bucket for a test."""

import json
import random
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from deploy.local.ports import is_free

KEY, SECRET = "hitok-test", secrets.token_hex(16)
CREDENTIALS = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
START_SECONDS = 30


@contextmanager
def running_bucket(folder: Path) -> Iterator[str]:
    """HITOK_MEDIA_URL of an empty bucket, for whoever has CREDENTIALS in his environment."""
    identity = {"name": "test", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
    users = folder / "s3.json"
    users.write_text(json.dumps({"identities": [identity]}))
    ports = dict(zip(("master", "volume", "filer", "s3"), _find_ports(4), strict=True))
    command = [str(Path(sys.executable).parent / "weed"), "server", f"-dir={folder}", f"-s3.config={users}"]
    command += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-master.volumeSizeLimitMB=64"]
    command += [f"-{role}.port={port}" for role, port in ports.items()]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        try:
            _wait_for(f"http://127.0.0.1:{ports['s3']}/", process)
            yield f"s3://bucket/some/prefix?endpoint=http://127.0.0.1:{ports['s3']}&region=us-east-1"
        finally:
            process.kill()  # it takes half a minute to say goodbye
            process.wait()


def _find_ports(count: int) -> list[int]:
    """Each with another 10,000 above it, for the gRPC of the same role."""
    candidates = random.sample(range(20_000, 22_000), 2_000)
    return [port for port in candidates if is_free(port) and is_free(port + 10_000)][:count]


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            httpx.get(url)
            return
        except httpx.TransportError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
