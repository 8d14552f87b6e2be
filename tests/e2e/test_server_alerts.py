"""Alerts on servers, by exporters: each fires for its cause, and goes quiet once that is mended (`make alerts`).

The exporters come from the PATH or from Debian's packages; a test whose exporter is not there is skipped, with a word.
"""

import asyncio
import contextlib
import os
import shutil
import socketserver
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nats
import psycopg
import pytest
import trustme
import yaml

from deploy.local.ports import find_free_port
from deploy.local.servers import cluster
from deploy.local.servers.nats import Nats
from deploy.local.servers.postgres import Postgres
from tests.deploy.observability import FOLDER, RULE_FILES
from tests.e2e.chaos.disk import Disk
from tests.e2e.test_alerts import long, quick, wait
from tests.support.prometheus import Prometheus, find_program, running_prometheus
from tests.support.servers import closing, private_postgres, private_valkey, temporary_folder

pytestmark = long
PROBE = {"modules": {"tls": {"prober": "tcp", "tcp": {"tls": True, "tls_config": {"insecure_skip_verify": True}}}}}
STORE_BYTES = 16 << 20  # of JetStream
# Debian has no exporter of NATS. Where none is on the PATH, this says what the one of docker-compose.yml says (`-jsz`).
NATS_EXPORTER = """
import json, sys
from urllib.request import urlopen

def metrics():
    found, server = (json.load(urlopen(sys.argv[2] + path, timeout=2)) for path in ("/jsz", "/varz"))
    meta = found.get("meta_cluster", {})
    labels = {"server_id": sys.argv[2], "server_name": server["server_name"], "cluster": meta.get("name", "")}
    labels |= {"domain": found["config"].get("domain", ""), "meta_leader": meta.get("leader", "")}
    labels["is_meta_leader"] = str(meta.get("leader") in (None, server["server_name"])).lower()
    yield "jetstream_server_total_message_bytes", labels, found["bytes"]
    yield "jetstream_server_max_storage", labels, found["config"]["max_storage"]
"""
# Of the kubelet, whose numbers of a volume are those of its file system.
KUBELET = """
import os, sys

def metrics():
    labels, found = {"namespace": "hitok", "persistentvolumeclaim": "x"}, os.statvfs(sys.argv[2])
    yield "kubelet_volume_stats_available_bytes", labels, found.f_bavail * found.f_frsize
    yield "kubelet_volume_stats_capacity_bytes", labels, found.f_blocks * found.f_frsize
"""
SERVE = """
from http.server import BaseHTTPRequestHandler, HTTPServer

class Exporter(BaseHTTPRequestHandler):
    def do_GET(self):
        lines = []
        for name, labels, value in metrics():
            lines.append("%s{%s} %d\\n" % (name, ",".join('%s="%s"' % pair for pair in labels.items()), value))
        self.send_response(200)
        self.send_header("content-type", "text/plain")
        self.end_headers()
        self.wfile.write("".join(lines).encode())

HTTPServer(("127.0.0.1", int(sys.argv[1])), Exporter).serve_forever()
"""
# Debian's exporter of PostgreSQL is older than that of docker-compose.yml, which asks this by itself.
LAG = {
    "pg_replication": {
        "query": """SELECT CASE WHEN NOT pg_is_in_recovery() THEN 0
 WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
 ELSE greatest(0, extract(epoch FROM now() - pg_last_xact_replay_timestamp())) END AS lag_seconds""",
        "master": True,
        "metrics": [{"lag_seconds": {"usage": "GAUGE", "description": "Replication lag behind the primary"}}],
    }
}


class Replica(Postgres):
    """A standby of `primary`."""

    primary: Postgres

    def make_data(self) -> None:
        program = str(cluster.find_program("pg_basebackup"))
        options = [
            f"--dbname={self.primary.url}",
            f"--pgdata={self.data}",
            "--write-recovery-conf",
            "--checkpoint=fast",
        ]
        subprocess.run([program, *options, "--checkpoint=fast"], check=True, capture_output=True)


class SmallNats(Nats):
    """Has a small store, and a port for its exporter."""

    monitor = 0

    def make_config(self) -> dict[str, Any]:
        config = super().make_config()
        config["jetstream"]["max_file_store"] = STORE_BYTES
        return config | {"http": f"127.0.0.1:{self.monitor}"}


class Site:
    """A server of TLS, whose certificate ends in 13 days."""

    def __init__(self) -> None:
        self._authority = trustme.CA()
        self.renew(13)
        site = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with (
                    contextlib.suppress(OSError),
                    site._context.wrap_socket(self.request, server_side=True) as socket,
                ):
                    socket.recv(1)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def renew(self, days: int) -> None:
        ends = datetime.now(UTC) + timedelta(days=days)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert("127.0.0.1", not_after=ends).configure_cert(self._context)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def folder() -> Iterator[Path]:
    with temporary_folder() as folder:
        yield folder


@contextmanager
def exporting(
    folder: Path, exporter: str, options: list[str], scrape: dict[str, Any] | None = None, **environment: str
) -> Iterator[Prometheus]:
    """Runs the program `exporter` with `options`, in which PORT is its port, and a Prometheus that asks it."""
    port = find_free_port()
    command = [exporter, *(option.replace("PORT", str(port)) for option in options)]
    for name in RULE_FILES:
        (folder / name).write_text(quick((FOLDER / name).read_text()))
    job = {"job_name": "exporter", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}], **(scrape or {})}
    times = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "500ms"}
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump({"global": times, "rule_files": list(RULE_FILES), "scrape_configs": [job]}))
    with (folder / "exporter.log").open("wb") as log, ExitStack() as stack:
        process = subprocess.Popen(command, env=os.environ | environment, stdout=log, stderr=log)
        stack.callback(process.wait)
        stack.callback(process.kill)
        stack.callback(lambda: print((folder / "exporter.log").read_text()[-2_000:]))
        yield stack.enter_context(running_prometheus(file, folder))


@contextmanager
def watching_postgres(folder: Path, server: Postgres) -> Iterator[Prometheus]:
    url, options = f"{server.url}?sslmode=disable", ["--web.listen-address=127.0.0.1:PORT"]
    exporter = find_program("prometheus-postgres-exporter")
    if exporter.endswith("prometheus-postgres-exporter"):
        (folder / "queries.yml").write_text(yaml.safe_dump(LAG))
        options.append(f"--extend.query-path={folder / 'queries.yml'}")
    # While PostgreSQL is away, the exporter tries for three seconds.
    patient = {"scrape_interval": "5s", "scrape_timeout": "5s"}
    with exporting(folder, exporter, options, patient, DATA_SOURCE_NAME=url) as prometheus:
        yield prometheus


async def test_postgres_that_is_gone_and_its_connections_that_run_short(folder: Path) -> None:
    find_program("prometheus-postgres-exporter")
    with private_postgres(folder) as server, watching_postgres(folder, server) as prometheus:
        with ExitStack() as stack:
            for _ in range(round(200 * 0.88)):
                stack.enter_context(psycopg.connect(server.url))
            await wait(prometheus, {"PostgresConnectionsShort"})
        await wait(prometheus, set(), {"PostgresConnectionsShort"})
        server.kill()
        await wait(prometheus, {"PostgresDown"})
        await asyncio.to_thread(server.start)
        await wait(prometheus, set(), {"PostgresDown"})


async def test_a_replica_that_is_behind(folder: Path) -> None:
    find_program("prometheus-postgres-exporter")
    with private_postgres(folder) as primary:
        replica = Replica(folder / "replica", primary.password, durable=False)
        replica.primary = primary
        with closing(replica.start()), watching_postgres(folder, replica) as prometheus:
            with (
                psycopg.connect(primary.url, autocommit=True) as writer,
                psycopg.connect(replica.url, autocommit=True) as reader,
            ):
                writer.execute("CREATE TABLE before ()")
                while not reader.execute("SELECT to_regclass('before')").fetchall()[0][0]:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
                reader.execute("SELECT pg_wal_replay_pause()")
                writer.execute("CREATE TABLE after ()")
                await wait(prometheus, {"PostgresReplicaBehind"})
                reader.execute("SELECT pg_wal_replay_resume()")
            await wait(prometheus, set(), {"PostgresReplicaBehind"})


async def test_valkey_that_is_gone(folder: Path) -> None:
    exporter = find_program("prometheus-redis-exporter")
    with private_valkey(folder) as server:
        options = [
            "--web.listen-address=127.0.0.1:PORT",
            f"--redis.addr=redis://127.0.0.1:{server.port}",
            f"--redis.password={server.password}",
        ]
        with exporting(folder, exporter, options) as prometheus:
            server.kill()
            await wait(prometheus, {"ValkeyDown"})
            await asyncio.to_thread(server.start)
            await wait(prometheus, set(), {"ValkeyDown"})


async def test_a_store_of_jetstream_that_is_full(folder: Path) -> None:
    server = SmallNats(folder / "nats", "secret", durable=False)
    server.monitor = find_free_port()
    url = f"http://127.0.0.1:{server.monitor}"
    exporter, options = shutil.which("prometheus-nats-exporter"), ["-a", "127.0.0.1", "-p", "PORT", "-jsz=all", url]
    if exporter is None:
        exporter, options = sys.executable, ["-c", NATS_EXPORTER + SERVE, "PORT", url]
    with closing(server.start()), exporting(folder, exporter, options) as prometheus:
        connection = await nats.connect(server.url)
        stream = connection.jetstream()
        await stream.add_stream(name="BIG", subjects=["big"])
        for _ in range(round(STORE_BYTES * 0.9) >> 19):
            await stream.publish("big", bytes(1 << 19))
        await wait(prometheus, {"JetStreamFull"})
        await stream.purge_stream("BIG")
        await wait(prometheus, set(), {"JetStreamFull"})
        await connection.close()


@pytest.fixture
def disk(folder: Path) -> Iterator[Disk]:
    if not Disk.is_possible():
        pytest.skip("needs root with the right to mount a disk")
    with contextlib.closing(Disk(folder / "disk", 40)) as disk:
        yield disk


async def fill_until(disk: Disk, prometheus: Prometheus, alert: str) -> None:
    await wait(prometheus, set(), {alert})
    await asyncio.to_thread(disk.fill)
    await wait(prometheus, {alert})
    disk.free()
    await wait(prometheus, set(), {alert})


async def test_a_disk_that_is_full(folder: Path, disk: Disk) -> None:
    exporter = find_program("prometheus-node-exporter")
    options = ["--web.listen-address=127.0.0.1:PORT", "--collector.disable-defaults", "--collector.filesystem"]
    ours = {"source_labels": ["mountpoint"], "regex": str(disk.path), "action": "keep"}
    scrape = {"metric_relabel_configs": [ours]}
    with exporting(folder, exporter, options, scrape) as prometheus:
        await fill_until(disk, prometheus, "ServerDiskFull")


async def test_a_volume_of_kubernetes_that_is_full(folder: Path, disk: Disk) -> None:
    options = ["-c", KUBELET + SERVE, "PORT", str(disk.path)]
    with exporting(folder, sys.executable, options) as prometheus:
        await fill_until(disk, prometheus, "VolumeFull")


async def test_a_public_certificate_that_ends(folder: Path) -> None:
    exporter = find_program("prometheus-blackbox-exporter")
    (folder / "probe.yml").write_text(yaml.safe_dump(PROBE))
    listen = ["--web.listen-address=127.0.0.1:PORT", "--timeout-offset=0.1"]
    options = [*listen, f"--config.file={folder / 'probe.yml'}"]
    with contextlib.closing(Site()) as site:
        probe = {"metrics_path": "/probe", "params": {"module": ["tls"], "target": [f"127.0.0.1:{site.port}"]}}
        with exporting(folder, exporter, options, probe) as prometheus:
            await wait(prometheus, {"PublicCertificateEnds"})
            site.renew(90)
            await wait(prometheus, set(), {"PublicCertificateEnds"})
