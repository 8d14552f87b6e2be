"""Forked children: the box is as whole as that of a program, and no end of a child or of the server loses a file."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from services.media.files.children import children, fork_server, fork_servers
from services.media.files.children.children import ENVIRONMENT, ROOT
from services.media.files.children.fork_server import ForkedProcess, ForkServer
from services.media.processing.sandbox import fork_server as sandbox
from tests.media.processing.test_box import ALLOWED, expected, intrude, port  # noqa: F401
from tests.support.media import Running, image, upload
from tests.support.social import new_user

OWN = ("LC_CTYPE", "GRPC_ENABLE_FORK_SUPPORT")  # of Python, and of services/__init__.py
MODULE = "tests.media.processing.intruders"


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ForkServer]:
    """With children of tests, and used in place of the service's."""
    server = await fork_server.start(ROOT, ENVIRONMENT, MODULE)
    try:
        await server.ready(60)
        monkeypatch.setattr(children, "_servers", [server])
        yield server
    finally:
        await server.end()


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"hitok_media_{name}_total", labels) or 0


@pytest.mark.parametrize("without", [(), ("landlock",), ("seccomp",)])
async def test_nothing_outside_can_be_reached(
    server: ForkServer,
    tmp_path: Path,
    port: int,  # noqa: F811
    without: tuple[str, ...],
) -> None:
    loop, told = asyncio.get_running_loop(), dict[str, Any]()

    def forked(request: dict[str, Any]) -> dict[str, Any]:
        told.update(asyncio.run_coroutine_threadsafe(children.run_child("intruder", request, 60), loop).result())
        return told

    walls, refused = await asyncio.to_thread(intrude, tmp_path, port, 0, without, forked)
    assert walls["uid"] == (os.geteuid() == 0)
    assert expected(walls) <= refused
    assert not ALLOWED & refused
    assert told["inherited"] == [], "neither the socket to the service nor what is meant for other children"
    assert set(told["environment"]) <= {*ENVIRONMENT, *OWN}


async def test_the_server_has_no_network_and_starts_no_program(server: ForkServer) -> None:
    own = Path(f"/proc/{server.process.pid}")
    status = (own / "status").read_text()
    assert "Seccomp:\t2" in status, "filtered"
    assert "NoNewPrivs:\t1" in status
    assert "Threads:\t1\n" in status, "a lock of another thread would be held in the child for ever"
    opened = [str(each.readlink()) for each in (own / "fd").iterdir()]
    assert sorted(name.partition(":")[0] for name in opened) == ["/dev/null", "/dev/null", "pipe", "pipe", "socket"]


async def test_a_child_that_crashes_wears_the_server_out(server: ForkServer) -> None:
    """The next ones have other places in memory, so that nobody learns them by trying."""
    assert (await children.run_child("sleeper", {"seconds": 0}, 30))["refused"] == "KILLED"
    assert not server.is_worn
    assert (await children.run_child("crasher", {}, 30))["refused"] == "KILLED"
    assert server.is_worn
    before = counted("fork_servers_ended", reason="replaced")
    async with children.started("sleeper", {"seconds": 60}) as child:
        server.retire()
        assert is_running(child._process.pid), "it ends after its children"
    await until(lambda: counted("fork_servers_ended", reason="replaced") == before + 1)


async def test_one_that_cannot_fork_says_so_at_once(server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """As without memory or process ids: the service then starts a child of its own, and keeps the server."""

    def fail() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", fail)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        asked = {"number": 7, "program": "sleeper", "request": {}}
        socket.send_fds(ours, [json.dumps(asked).encode()], [ours.fileno()] * 2)
        assert sandbox.ForkServer(theirs)._answer()
        child = server._children[7] = ForkedProcess(server, 7)
        server._take(**json.loads(ours.recv(fork_server.MESSAGE)))
    assert child.made.result() is False
    assert server.is_open


async def test_an_answer_is_bounded(server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "MAX_ANSWER", 200_000)
    assert (await children.run_child("babbler", {"bytes": 1_000_000}, 30))["refused"] == "KILLED"


async def test_a_child_ends_with_its_block(server: ForkServer) -> None:
    async with children.started("sleeper", {"seconds": 60}) as child:
        assert not await child.ends_within(0.05, 0.1)
        assert is_running(child._process.pid)
    assert not is_running(child._process.pid)
    assert child._process.returncode == -signal.SIGKILL
    child._process.kill()  # of whoever has its id now


async def test_another_server_follows_one_that_dies(local: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "_servers", [])
    async with children.forking():
        (servers,) = children._servers
        made, died = counted("forks", outcome="made"), counted("fork_servers_ended", reason="died")
        for n in range(2):
            assert (await upload(local, new_user(), image("PNG"))).width == 16
            assert counted("forks", outcome="made") == made + n + 1
            assert servers._server
            servers._server.process.kill()
            await until(lambda n=n: counted("fork_servers_ended", reason="died") == died + n + 1)  # type: ignore[misc]


async def test_an_inspection_outlives_its_server(
    local: Running, server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fork = server.fork

    async def dies(*asked: Any) -> Any:
        child = await fork(*asked)
        if child:
            server.process.kill()
        return child

    monkeypatch.setattr(server, "fork", dies)
    assert (await upload(local, new_user(), image("PNG"))).width == 16
    assert not server.is_open


async def test_without_a_server_children_are_programs(
    local: Running, server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stuck, and then none starts."""
    monkeypatch.setattr(fork_server, "FORK_SECONDS", 0.1)
    stuck = counted("fork_servers_ended", reason="stuck")
    os.kill(server.process.pid, signal.SIGSTOP)
    assert (await upload(local, new_user(), image("PNG"))).width == 16
    await until(lambda: counted("fork_servers_ended", reason="stuck") == stuck + 1)
    assert (await upload(local, new_user(), image("PNG"))).width == 16

    async def start() -> ForkServer:
        raise OSError("no more processes")

    async with fork_servers.keeping(start) as servers:
        monkeypatch.setattr(children, "_servers", [servers])
        missed = counted("forks", outcome="missed")
        assert (await upload(local, new_user(), image("PNG"))).width == 16
        assert counted("forks", outcome="missed") == missed + 1


SERVICE = f"""
import asyncio
from services.media.files.children import children, fork_server

async def main():
    server = await fork_server.start(children.ROOT, children.ENVIRONMENT, {MODULE!r})
    await server.ready(60)
    children._servers.append(server)
    child = await children.start_child("sleeper", {{"seconds": 60}})
    print(server.process.pid, child._process.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
async def test_no_process_outlives_the_service(end: int) -> None:
    service = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVICE, cwd=ROOT, stdout=subprocess.PIPE)
    assert service.stdout
    processes = [int(each) for each in (await asyncio.wait_for(service.stdout.readline(), 60)).split()]
    assert len(processes) == 2
    assert all(map(is_running, processes))
    service.send_signal(end)
    await service.wait()
    await until(lambda: not any(map(is_running, processes)))
