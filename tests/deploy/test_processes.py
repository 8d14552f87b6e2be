"""The supervisor of `make run`, with small processes in place of the services."""

import asyncio
import os
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg
import pytest

from deploy.local import data_dir as folder_module
from deploy.local import ports as port_module
from deploy.local.backends import Backends
from deploy.local.data_dir import check_free_space, load_secrets
from deploy.local.environment import make_environment, name_secrets
from deploy.local.errors import LocalError
from deploy.local.ports import assign_ports, find_free_port, is_free
from deploy.local.processes import process as process_module
from deploy.local.processes.process import Process, shorten
from deploy.local.processes.service_process import ServiceProcess
from deploy.local.processes.supervisor import SAME_SIGNAL_SECONDS
from deploy.local.services import SERVICES, Ports, Service, replicate, spread
from tests.deploy.people import AS_ROOT, as_ordinary_user, give_to_ordinary_user
from tests.deploy.runs import Run, running, wait_until_gone
from tests.support.servers import Servers


@pytest.fixture
def given(servers: Servers) -> dict[str, str]:
    """Servers that run already, for tests about something else."""
    return {
        "HITOK_POSTGRES_URL": servers.postgres_url,
        "HITOK_REDIS_URL": servers.redis_url,
        "HITOK_NATS_URL": servers.nats_url,
    }


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run with servers of its own."""
    with running("web", "rpc", var=tmp_path_factory.mktemp("own") / "var") as run:
        run.wait_until_healthy()
        yield run


def count_visits(run: Run, var: Path) -> int:
    port = run.wait_for(r"postgres +healthy +port (\d+)")[1]
    password = load_secrets(var, [])["database_rpc"]
    with psycopg.connect(f"postgresql://hitok_rpc:{password}@127.0.0.1:{port}/hitok_rpc") as connection:
        row = connection.execute("SELECT count(*) FROM visits").fetchone()
        assert row
        return int(row[0])


def test_no_process_is_left_and_the_data_is_kept(tmp_path: Path) -> None:
    for visits, (number, code) in enumerate([(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 0)], 1):
        with running("web", "rpc", var=tmp_path) as run:
            run.wait_until_healthy()
            assert count_visits(run, tmp_path) == visits
            family = run.list_family()
            assert len(family) > 6
            run.send(number)
            assert run.wait() == code
            wait_until_gone(family)
    (tmp_path / "secrets.json").unlink()
    with running("web", "rpc", var=tmp_path) as run:
        assert run.wait() == 1
    assert f"error: {tmp_path}/postgres was made with another password" in run.output


def test_the_user_is_told_where_everything_is(own: Run) -> None:
    port = own.ports["HITOK_WEB_PORTS"]
    assert f"API       http://127.0.0.1:{port}\n" in own.output
    assert f"curl -X POST http://127.0.0.1:{port}/api/login/send-code" in own.output
    assert own.wait_for(r"mails +(\S+)/mail")


def test_a_service_gets_its_settings(own: Run) -> None:
    settings = own.ask_web()
    secrets = load_secrets(Path(settings["HITOK_VAR"]), [])
    assert settings["HITOK_JWT_SECRET"] == secrets["jwt"]
    assert settings["HITOK_INTERNAL_SECRET"] == secrets["internal"]
    assert settings["HITOK_RPC_TARGET"] == f"127.0.0.1:{own.ports['HITOK_RPC_GRPC_PORT']}"
    assert settings["HITOK_REDIS_URL"].startswith("redis://:")
    assert settings["HITOK_NATS_URL"].startswith("nats://hitok:")
    # It owns no database, and is none of the admins.
    assert not [name for name in settings if "POSTGRES" in name]


def test_folders_and_files_are_for_the_owner_only(own: Run) -> None:
    var = Path(own.ask_web()["HITOK_VAR"])
    assert (var / "secrets.json").stat().st_mode & 0o777 == 0o600
    for path in (var, *var.rglob("*")):
        with suppress(FileNotFoundError):  # the servers' own temporary files
            assert path.is_symlink() or path.stat().st_mode & 0o077 == 0, path


def test_no_secret_is_in_a_command_line(own: Run) -> None:
    secrets = load_secrets(Path(own.ask_web()["HITOK_VAR"]), [])
    lines = [Path(f"/proc/{pid}/cmdline").read_text() for pid in own.list_family()]
    assert not [line for line in lines for secret in secrets.values() if secret in line]


def test_each_process_has_a_log(own: Run) -> None:
    logs = Path(own.ask_web()["HITOK_VAR"]) / "log"
    assert {"web.log", "rpc.log", "postgres.log", "valkey.log", "nats.log"} == {log.name for log in logs.iterdir()}
    assert (logs / "web.log").read_text().startswith("web starts\n")


def test_a_second_run_on_the_folder_is_refused(own: Run) -> None:
    var = Path(own.ask_web()["HITOK_VAR"])
    with running("web", var=var) as second:
        assert second.wait() == 1
    assert second.output.strip() == (
        f"error: {var} is in use by another hitok (process {own.pid}). Stop it, or set HITOK_VAR to another folder"
    )


@pytest.mark.parametrize("name", ["postgres", "valkey", "nats"])
def test_a_crashed_server_is_back_where_it_was(own: Run, name: str) -> None:
    _, port, pid = own.wait_for(rf"^{name} +healthy +port (\d+) +pid (\d+)").group(0, 1, 2)
    os.kill(int(pid), signal.SIGKILL)
    own.wait_for(rf"^{name} +restart in 0.3 s")
    again = own.wait_for(rf"^{name} +restart[^\0]*^{name} +healthy +port (\d+) +pid (\d+)")
    assert again[1] == port
    assert again[2] != pid


def test_a_crashed_service_is_started_again_ever_later(tmp_path: Path, given: dict[str, str]) -> None:
    with running("web", var=tmp_path, settings=given) as run:
        run.wait_until_healthy()
        began = time.monotonic()
        for pause in ("0.3", "0.6"):
            os.kill(int(run.wait_for(r"^web +healthy .*pid (\d+)")[1]), signal.SIGKILL)
            run.wait_for(rf"^web ended \(killed by signal 9\)[^\0]*^web +restart in {pause} s[^\0]*^web +healthy")
        assert time.monotonic() - began > 0.9
        assert run.stop() == 0


@pytest.mark.parametrize(
    ("pause", "lived", "wanted"), [(4.8, 0.0, 4.8), (4.8, 0.5, 0.6), (0.6, 0.5, 0.6), (4.8, 10.0, 0.3)]
)
def test_only_what_is_never_healthy_waits_for_long(pause: float, lived: float, wanted: float) -> None:
    assert shorten(pause, lived) == wanted


def test_given_servers_are_used(tmp_path: Path, given: dict[str, str]) -> None:
    with running("web", "rpc", var=tmp_path, settings=given) as run:
        run.wait_until_healthy()
        assert run.ask_web()["HITOK_REDIS_URL"] == given["HITOK_REDIS_URL"]
        assert {entry.name for entry in tmp_path.iterdir()} == {"lock", "log", "secrets.json", "settings"}
        assert run.stop() == 0


def test_an_unreachable_server_is_named(tmp_path: Path, given: dict[str, str]) -> None:
    settings = given | {"HITOK_POSTGRES_URL": "postgresql://a:secret@127.0.0.1:1/b"}
    with running("rpc", var=tmp_path, settings=settings) as run:
        assert run.wait() == 1
    assert run.output.startswith("error: cannot prepare the database hitok_rpc: connection")
    assert "secret" not in run.output


def test_a_wrong_setting_ends_the_run(tmp_path: Path, given: dict[str, str]) -> None:
    with running("web", "wrong", var=tmp_path, settings=given) as run:
        assert run.wait() == 2
    assert run.output.endswith("\nerror: HITOK_WRONG is wrong\n")


def test_a_failing_start_shows_its_log_and_is_tried_again(tmp_path: Path, given: dict[str, str]) -> None:
    with running("failing", var=tmp_path, settings=given) as run:
        run.wait_for(r"failing ended \(exit code 1\); its log is \S+/log/failing.log\nsomething inside is broken")
        run.wait_for("failing +restart in 0.6 s")
        assert run.stop() == 0


class Messages:
    """A display that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def show(self, process: Process) -> None:
        pass

    def say(self, text: str) -> None:
        self.said.append(text)

    def close(self) -> None:
        pass


async def test_a_gateway_that_is_long_not_ready_names_what_it_waits_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "SLOW_SECONDS", 0.5)
    port, messages = find_free_port(), Messages()
    service = Service("waiting", "tests.deploy.fakes.waiting", (), "http")
    environment = {**os.environ, "HITOK_WAITING_PORTS": str(port)}
    process = ServiceProcess(service, [port], environment, tmp_path, messages)
    keeping = asyncio.create_task(process.keep())
    async with asyncio.timeout(10):
        while not messages.said:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    keeping.cancel()
    await process.stop()
    assert messages.said == [f"waiting is not ready after 0.5 s: it waits for user, chat; its log is {process.log}"]


def test_a_port_in_use_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with running("web", var=tmp_path, settings={"HITOK_WEB_PORTS": str(port)}) as run:
            assert run.wait() == 1
    assert run.output == f"error: port {port} is in use (by another hitok?). Stop it or set HITOK_WEB_PORTS\n"


def test_grpc_and_metrics_take_any_free_port(tmp_path: Path, given: dict[str, str]) -> None:
    """A second hitok needs only other HTTP ports."""
    with ExitStack() as taken:
        for port in (17051, 17151):
            if is_free(port):
                taken.enter_context(socket.create_server(("127.0.0.1", port)))
        with running("web", "rpc", var=tmp_path, ports=["HITOK_WEB_PORTS"], settings=given) as run:
            run.wait_until_healthy()
            found = run.wait_for(r"rpc +healthy +port (\d+), (\d+)")
            assert {"17051", "17151"}.isdisjoint(found.groups())
            assert run.ask_web()["HITOK_RPC_TARGET"] == f"127.0.0.1:{found[1]}"
            assert run.stop() == 0


def test_a_port_that_another_run_will_bind_is_in_use() -> None:
    service = Service("rpc", "", (Ports("HITOK_RPC_GRPC_PORT", str(find_free_port()), any_free=True),), "grpc")
    with assign_ports([service], {}) as first, assign_ports([service], {}) as second:
        assert first["rpc"] != second["rpc"]
        chosen = {"HITOK_RPC_GRPC_PORT": str(first["rpc"]["HITOK_RPC_GRPC_PORT"][0])}
        with pytest.raises(LocalError, match="is in use"), assign_ports([service], chosen):
            pass


def test_a_server_takes_no_port_that_a_process_will_bind(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL took that of a service which started after it."""
    service = Service("rpc", "", (Ports("HITOK_RPC_GRPC_PORT", str(find_free_port()), any_free=True),), "grpc")
    with assign_ports([service], {}) as assigned:
        (port,) = assigned["rpc"]["HITOK_RPC_GRPC_PORT"]
        other = find_free_port()
        monkeypatch.setattr(port_module, "shuffled_range", lambda: [port, other])
        assert find_free_port() == find_free_port(port) == other


@pytest.mark.parametrize("replicas", [1, 2])
def test_processes_drain_only_where_there_are_several(replicas: int) -> None:
    services = replicate(SERVICES, replicas)
    secrets = dict.fromkeys(name_secrets(services), "secret")
    backends = Backends("redis://", "nats://", dict.fromkeys((service.name for service in services), "postgresql://"))
    with assign_ports(services, {"HITOK_HTTP_PORTS": str(find_free_port())}) as ports:
        own = make_environment(services[0], services, {}, Path("var"), secrets, backends, ports)
    assert own.get("HITOK_DRAIN_SECONDS") == ("0" if replicas == 1 else None)


def test_a_machine_of_four_cores_runs_a_process_per_core(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, processes in ((1, 1), (2, 1), (3, 1), (4, 4), (8, 8), (64, 16)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)))
        assert len(spread(SERVICES, {})) == processes * len(SERVICES)


def test_settings_say_how_many_processes_run() -> None:
    found = Counter(s.name for s in spread(SERVICES, {"HITOK_PROCESSES": "2", "HITOK_MEDIA_PROCESSES": "1"}))
    assert found == {"user": 2, "social": 2, "chat": 2, "gateway": 2, "media": 1}
    for text in ("0", "17", "many"):
        with pytest.raises(LocalError, match=f"HITOK_PROCESSES must be a number from 1 to 16, not '{text}'") as caught:
            spread(SERVICES, {"HITOK_PROCESSES": text})
        assert caught.value.code == 2


def test_processes_beside_each_other_share_ports_and_connections() -> None:
    http = str(find_free_port())
    processes = spread(SERVICES, {"HITOK_PROCESSES": "8"})
    secrets = dict.fromkeys(name_secrets(SERVICES), "secret")
    backends = Backends("redis://", "nats://", dict.fromkeys((service.name for service in SERVICES), "postgresql://"))
    with assign_ports(processes, {"HITOK_HTTP_PORTS": http}) as ports:
        made = {p.label: make_environment(p, processes, {}, Path("var"), secrets, backends, ports) for p in processes}
    gateways = [each for label, each in made.items() if label.startswith("gateway")]
    assert {each["HITOK_HTTP_PORTS"] for each in gateways} == {http}
    assert len({each["HITOK_GATEWAY_OWN_PORT"] for each in gateways}) == 8
    pools = [int(each["HITOK_POSTGRES_POOL"]) + 1 for label, each in made.items() if "gateway" not in label]
    assert len(pools) == 32
    assert sum(pools) <= 180
    assert made["media"].get("HITOK_WORKERS") is None
    assert made["media-2"]["HITOK_WORKERS"] == "0"
    assert made["user-2"]["HITOK_DRAIN_SECONDS"] == "0"


def test_a_misspelt_setting_is_warned_about(tmp_path: Path, given: dict[str, str]) -> None:
    with running("web", var=tmp_path, settings={**given, "HITOK_LOGLEVEL": "debug", "HITOK_LOG_FORMAT": "json"}) as run:
        run.wait_for(r"^warning: no process reads HITOK_LOGLEVEL. Is HITOK_LOG_LEVEL meant\?$")
        run.wait_until_healthy()
        assert run.output.count("warning") == 1


@pytest.mark.parametrize("text", ["", "http", "8888,", "0", "70000"])
def test_a_port_that_is_none_is_named_with_its_setting(text: str) -> None:
    with pytest.raises(LocalError, match="HITOK_HTTP_PORTS must name ports") as caught:
        Ports("HITOK_HTTP_PORTS", "8888").read({"HITOK_HTTP_PORTS": text})
    assert caught.value.code == 2


def test_a_file_in_place_of_the_data_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "var").touch()
    with running("web", var=tmp_path / "var") as run:
        assert run.wait() == 1
    assert run.output.startswith(f"error: cannot use {tmp_path / 'var'}: file exists.")


def test_broken_secrets_are_named(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text('{"jwt": ')
    with running("web", var=tmp_path) as run:
        assert run.wait() == 1
    assert run.output.startswith(f"error: {tmp_path}/secrets.json is broken. Bring back a copy, or remove")


def test_an_ordinary_user_runs_it() -> None:
    with tempfile.TemporaryDirectory() as name:
        give_to_ordinary_user(Path(name))
        with running("web", var=Path(name, "var"), wrap=as_ordinary_user()) as run:
            run.wait_until_healthy()
            family = run.list_family()
            assert run.stop() == 0
            wait_until_gone(family)


def test_a_read_only_folder_is_named() -> None:
    with tempfile.TemporaryDirectory() as name:
        var = Path(name, "var")
        var.mkdir()
        var.chmod(0o555)
        if AS_ROOT:
            Path(name).chmod(0o755)
        with running("web", var=var, wrap=as_ordinary_user()) as run:
            assert run.wait() == 1
        assert run.output.startswith(f"error: cannot use {var}/lock: permission denied. Mend or remove it, or set")


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "LEAST_FREE_MB", 1 << 40)
    with pytest.raises(LocalError, match=f"MB are free on the disk of {tmp_path}.*Free some space, or set HITOK_VAR"):
        check_free_space(tmp_path)


def test_a_second_signal_kills(tmp_path: Path, given: dict[str, str]) -> None:
    with running("stubborn", var=tmp_path, settings=given) as run:
        run.wait_until_healthy()
        family = run.list_family()
        run.send(signal.SIGTERM)
        run.wait_for("stubborn +stopping")
        time.sleep(SAME_SIGNAL_SECONDS)
        run.send(signal.SIGTERM)
        assert run.wait() == 1
        wait_until_gone(family)


def test_a_signal_that_comes_twice_at_once_stops_in_order(tmp_path: Path, given: dict[str, str]) -> None:
    """`make run` gets a SIGTERM to its process group itself, and make passes its own on."""
    with running("web", "rpc", var=tmp_path, settings=given) as run:
        run.wait_until_healthy()
        run.send(signal.SIGTERM)
        run.send(signal.SIGTERM)
        assert run.wait() == 0


def test_a_terminal_shows_a_table_and_its_end_ends_the_run(tmp_path: Path, given: dict[str, str]) -> None:
    terminal = [sys.executable, "-c", "import pty, sys; pty.spawn(sys.argv[1:])"]
    with running("web", var=tmp_path, wrap=terminal, settings=given) as run:
        run.wait_until_healthy()
        run.wait_for("process.*port.*pid.*state.*restarts")
        run.wait_for(rf"web.*{run.ports['HITOK_WEB_PORTS']}.*healthy")
        family = run.list_family()
    wait_until_gone(family)


def default_ports() -> list[int]:
    return [port for service in SERVICES for ports in service.ports_by_setting({}).values() for port in ports]


def test_the_services_are_listed_with_ports_of_their_own() -> None:
    ports = default_ports()
    assert len(ports) == len(set(ports))


def test_no_default_port_is_one_that_the_kernel_gives_to_outgoing_connections() -> None:
    """It starts at 32768 on Linux; a port in it may be taken before its service starts."""
    ports = default_ports()
    assert max(ports) < 32_768
