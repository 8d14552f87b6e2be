"""The whole of hitok as `make run` starts it, with its own ports and data folder, for one measurement."""

import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

PASSWORD = "correct horse"


@contextmanager
def running_stack(**settings: str) -> Iterator[tuple[str, Path]]:
    """The base URL and the data folder. Rate limits are off."""
    ports = free_ports(2)
    named = {
        "HITOK_HTTP_PORTS": f"{ports[0]},{ports[1]}",
        "HITOK_PROCESSES": "1",
        "HITOK_RATE_LIMIT_SCALE": "0",
        "HITOK_NETWORK_CONNECTIONS": "0",
        "HITOK_NETWORK_SOCKETS": "0",
        "HITOK_DRAIN_SECONDS": "0",
        "HITOK_LOG_FORMAT": "json",
    }
    with TemporaryDirectory(prefix="hitok-bench-") as folder:
        environ = os.environ | named | {"HITOK_VAR": folder} | settings
        command = [sys.executable, "-m", "deploy.local"]
        process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        try:
            if not any("everything is healthy" in line for line in process.stdout):
                raise SystemExit("the stack did not start")
            yield f"http://127.0.0.1:{ports[0]}", Path(folder)
        finally:
            process.terminate()
            process.communicate()


@contextmanager
def running_bare() -> Iterator[str]:
    """Yields the url of bench/servers/bare.py."""
    (port,) = free_ports(1)
    process = subprocess.Popen([sys.executable, "-m", "bench.servers.bare", str(port)])
    url = f"http://127.0.0.1:{port}/hello"
    try:
        for _ in range(100):
            try:
                httpx.get(url)
                break
            except httpx.ConnectError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


def register(base: str, folder: Path) -> tuple[str, str]:
    """Registers by email; returns the address and a token."""
    name = "b" + secrets.token_hex(6)
    address = f"{name}@example.com"
    httpx.post(f"{base}/api/login/send-code", json={"email": address}).raise_for_status()
    code = _mailed_code(max((folder / "mail").glob("*.eml")))
    account = {"email": address, "code": code, "password": PASSWORD, "username": name}
    answer = httpx.post(f"{base}/api/login/register", json=account).raise_for_status().json()
    return address, answer["data"]["atoken"]


def _mailed_code(path: Path) -> str:
    body = message_from_bytes(path.read_bytes(), policy=default).get_body()
    assert body
    found = re.search(r"\b(\d{6})\b", body.get_content())
    assert found
    return found.group(1)
