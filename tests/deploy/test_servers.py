"""The servers installed from wheels: real ones, tested with kills, full ports and stale files."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import nats
import psycopg
import pytest
import redis
from nats.js.api import StreamConfig

from deploy.local.child import Child
from deploy.local.databases import ensure_database
from deploy.local.errors import LocalError
from deploy.local.ports import find_free_port
from deploy.local.servers import cluster
from deploy.local.servers import server as server_module
from deploy.local.servers.cluster import NOBODY
from deploy.local.servers.nats import Nats
from deploy.local.servers.postgres import Postgres
from deploy.local.servers.server import NotReady, Server
from deploy.local.servers.valkey import Valkey
from tests.deploy.people import AS_ROOT, as_ordinary_user, give_to_ordinary_user
from tests.deploy.runs import wait_until_gone
from tests.support.servers import Servers, frozen, private_nats, private_postgres, private_valkey

KINDS = {"postgres": private_postgres, "valkey": private_valkey, "nats": private_nats}


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with KINDS[request.param](tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with private_postgres(tmp_path_factory.mktemp("server")) as server:
        yield server


async def keep_word(server: Server, word: str) -> None:
    match server:
        case Postgres():
            with psycopg.connect(server.url) as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS words (word text)")
                connection.execute("INSERT INTO words VALUES (%s)", [word])
        case Valkey():
            with redis.Redis.from_url(server.url) as client:
                client.rpush("words", word)
        case Nats():
            client = await nats.connect(server.url)
            await client.jetstream().add_stream(StreamConfig(name="words", subjects=["word"]))
            await client.jetstream().publish("word", word.encode())
            await client.close()


async def read_words(server: Server) -> list[str]:
    match server:
        case Postgres():
            with psycopg.connect(server.url) as connection:
                return [word for (word,) in connection.execute("SELECT word FROM words")]
        case Valkey():
            with redis.Redis.from_url(server.url) as client:
                return [word.decode() for word in client.lrange("words", 0, -1)]
        case _:
            client = await nats.connect(server.url)
            stream = client.jetstream()
            count = (await stream.stream_info("words")).state.messages
            words = [(await stream.get_msg("words", seq=number + 1)).data or b"" for number in range(count)]
            await client.close()
            return [word.decode() for word in words]


async def test_a_server_keeps_its_data_through_a_stop_and_a_kill(server: Server) -> None:
    await keep_word(server, "first")
    url = server.url
    server.stop()
    assert server.pid is None
    server.start()
    await keep_word(server, "second")
    server.kill()
    server.start()
    assert await read_words(server) == ["first", "second"]
    assert server.url == url


def test_valkey_syncs_what_it_acknowledges_every_second(tmp_path: Path) -> None:
    """As docs/operating.md says."""
    with private_valkey(tmp_path) as server, redis.Redis.from_url(server.url, decode_responses=True) as client:
        found = client.config_get("append*")
        assert (found["appendonly"], found["appendfsync"]) == ("yes", "everysec")


def test_a_server_wants_its_password(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "password", "guess")
    with pytest.raises((psycopg.OperationalError, NotReady), match=r"(?i)password|authorization"):
        psycopg.connect(server.url) if isinstance(server, Postgres) else server.probe()


def test_a_server_listens_on_the_loopback_only(server: Server) -> None:
    listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines() if " 0A " in line]
    others = Path("/proc/net/tcp6").read_text() if Path("/proc/net/tcp6").exists() else ""
    assert [address for address in listening if address.endswith(f":{server.port:04X}")] == [
        f"0100007F:{server.port:04X}"
    ]
    assert f":{server.port:04X} " not in others


def test_a_frozen_server_does_not_answer_until_it_thaws(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "PROBE_SECONDS", 0.2)
    with frozen(server), pytest.raises(TimeoutError):
        server.probe()
    server.probe()


def test_a_failed_start_shows_the_last_log_lines(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "PROBE_SECONDS", 0.2)
    server.stop()
    with (
        socket.create_server(("127.0.0.1", server.port)),
        pytest.raises(LocalError, match=r"(?i)address already in use"),
    ):
        server.start()
    server.start()


def test_a_folder_in_use_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "LOCK_SECONDS", 0.1)
    with pytest.raises(LocalError, match=f"still uses {server.folder}"):
        type(server)(server.folder, server.password).start()


def test_another_takes_the_preferred_port(tmp_path: Path, server: Server) -> None:
    other = type(server)(tmp_path, "secret", port=server.port, durable=False).start()
    assert other.port != server.port
    other.stop()


@pytest.mark.parametrize("kind", [Postgres, Valkey, Nats])
def test_a_port_that_was_lost_before_it_was_bound_is_chosen_again(
    tmp_path: Path, kind: type[Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        lost = iter([other.getsockname()[1]])
        monkeypatch.setattr(server_module, "find_free_port", lambda _: next(lost, 0) or find_free_port())
        server = kind(tmp_path, "secret", durable=False).start()
        assert server.port != other.getsockname()[1]
        server.stop()


class SlowServer(Server):
    """Answers once it has reported progress `steps` times."""

    name = "slow"
    start_seconds: ClassVar[float] = 0.1
    steps = told = 0

    @property
    def url(self) -> str:
        return ""

    def prepare(self) -> None:
        pass

    def spawn(self, lock: int) -> Child:
        return Child(["/bin/sleep", "60"], log=self.log, keep_open=[lock])

    def probe(self) -> None:
        if self.told <= self.steps:
            raise NotReady("it is still starting")

    def read_progress(self, child: Child) -> str:
        self.told += 1
        return str(min(self.told, self.steps + 1))


def test_a_start_is_waited_for_as_long_as_it_makes_progress(tmp_path: Path) -> None:
    server = SlowServer(tmp_path, "secret")
    server.steps = 3
    began = time.monotonic()
    server.start()
    assert time.monotonic() - began > 3 * SlowServer.start_seconds
    server.kill()


def test_a_start_without_progress_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SlowServer, "read_progress", lambda *_: "")
    server = SlowServer(tmp_path, "secret")
    with pytest.raises(LocalError, match="did not answer in"):
        server.start()
    assert server.pid is None


def test_the_progress_of_a_recovery_is_read_from_between_the_answers_to_our_probes(tmp_path: Path) -> None:
    line = "LOG:  redo in progress, elapsed time: 20.00 s, current LSN: 0/5000028"
    probes = "FATAL:  the database system is not yet accepting connections\nDETAIL:  Consistent recovery state\n" * 90
    child = Child(["/bin/echo", f"LOG:  starting PostgreSQL 18\n{probes}{line}\n{probes}"], log=tmp_path / "log")
    child.wait(10)
    assert Postgres(tmp_path, "secret").read_progress(child) == line


def test_a_file_where_the_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalError, match=f"cannot use {tmp_path / 'file'}.*: .*HITOK_VAR"):
        Valkey(tmp_path / "file" / "valkey", "secret").start()


def test_a_stale_pid_file_does_not_matter(postgres: Postgres) -> None:
    postgres.kill()
    pid_file = postgres.data / "postmaster.pid"
    # Some process of today has the number of yesterday's server.
    pid_file.write_text(pid_file.read_text().replace(pid_file.read_text().split()[0], str(os.getppid()), 1))
    postgres.start()


def test_data_of_another_major_version_is_left_alone(postgres: Postgres) -> None:
    postgres.stop()
    (postgres.data / "PG_VERSION").write_text("17\n")
    with pytest.raises(LocalError, match="was made by PostgreSQL 17, this is 18"):
        postgres.start()
    (postgres.data / "PG_VERSION").write_text("18\n")
    postgres.start()


def test_a_half_made_cluster_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "postgres/draft/base").mkdir(parents=True)
    with private_postgres(tmp_path) as server:
        assert server.pid


def test_a_data_folder_that_takes_too_long_is_told_with_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "INITDB_SECONDS", 0.01)
    with pytest.raises(LocalError, match=r"initdb has not finished in 0.01 s. Is the disk slow\?"):
        Postgres(tmp_path / "postgres", "secret").start()


def test_several_may_ensure_one_database_at_once(postgres: Postgres) -> None:
    with ThreadPoolExecutor(8) as pool:
        urls = set(pool.map(lambda _: ensure_database(postgres.url, "hitok_busy", "p@ss/word"), range(8)))
    with psycopg.connect(urls.pop()) as connection:
        assert connection.execute("SELECT current_user || '@' || current_database()").fetchone() == (
            "hitok_busy@hitok_busy",
        )
    assert not urls


def test_ensuring_a_database_again_keeps_it_and_takes_the_new_password(postgres: Postgres) -> None:
    with psycopg.connect(ensure_database(postgres.url, "hitok_kept", "old")) as connection:
        connection.execute("CREATE TABLE kept ()")
    with psycopg.connect(ensure_database(postgres.url, "hitok_kept", "new")) as connection:
        connection.execute("SELECT FROM kept")


def test_a_service_may_not_enter_the_database_of_another(postgres: Postgres) -> None:
    ensure_database(postgres.url, "hitok_one", "secret")
    other = ensure_database(postgres.url, "hitok_two", "secret")
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(other, dbname="hitok_one")


def test_an_admin_need_not_be_a_superuser(postgres: Postgres) -> None:
    with psycopg.connect(postgres.url) as connection:
        connection.execute("CREATE ROLE admin LOGIN CREATEROLE CREATEDB PASSWORD 'secret'")
    admin_url = f"postgresql://admin:secret@127.0.0.1:{postgres.port}/postgres?application_name=hitok"
    url = ensure_database(admin_url, "hitok_modest", "secret")
    assert url == f"postgresql://hitok_modest:secret@127.0.0.1:{postgres.port}/hitok_modest?application_name=hitok"
    psycopg.connect(url).close()


@pytest.mark.skipif(not AS_ROOT, reason="only root needs another user for Postgres")
def test_root_runs_postgres_as_nobody_in_a_folder_closed_to_nobody() -> None:
    with tempfile.TemporaryDirectory() as name, private_postgres(Path(name)) as server:
        assert Path(name).stat().st_mode & 0o777 == 0o700
        assert Path(f"/proc/{server.pid}").stat().st_uid == NOBODY
        psycopg.connect(server.url).close()


@pytest.mark.skipif(not AS_ROOT, reason="only root meets folders of others")
@pytest.mark.parametrize("owner", [0, 4321])
def test_root_runs_postgres_on_a_copied_folder(tmp_path: Path, owner: int) -> None:
    with private_postgres(tmp_path) as server:
        server.stop()
        for entry in (server.data, *server.data.rglob("*")):
            os.chown(entry, owner, owner)
        server.start()
        assert Path(f"/proc/{server.pid}").stat().st_uid == (owner or NOBODY)


def test_an_ordinary_user_runs_them_and_they_die_with_who_started_them() -> None:
    with tempfile.TemporaryDirectory() as name:
        give_to_ordinary_user(Path(name))
        command = as_ordinary_user(sys.executable, "-m", "tests.deploy.fakes.start", name)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as starter:
            assert starter.stdout
            pids = [int(pid) for pid in starter.stdout.readline().split()]
            assert len(pids) == 3
            starter.send_signal(signal.SIGKILL)
        wait_until_gone(pids)


def test_a_session_database_is_dropped_at_its_end(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HITOK_TEST_POSTGRES_URL", postgres.url)
    with Servers() as session:
        url = session.create_database("hitok_session")
        connection = psycopg.connect(url)
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    connection.close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url)
