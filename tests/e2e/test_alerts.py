"""Alerts of a running hitok fire when their causes are broken, and go quiet when these are mended.

A real Prometheus scrapes it, with the rules of deploy/observability; only their times are short. `make alerts` breaks
more, here and in the other test_*alerts.py.
"""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Set
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import httpx
import psycopg
import pytest
import yaml

from deploy.local.ports import find_free_port
from tests.deploy.observability import FOLDER, RULE_FILES
from tests.e2e.everything import Everything, everything
from tests.e2e.people import register_by_phone
from tests.support.media import png
from tests.support.prometheus import Prometheus, find_program, running_prometheus
from tests.support.servers import find_family
from tests.support.user import new_name
from tests.user.test_mail import Mailbox, smtp_server

LETTER = "INSERT INTO dead_letter (consumer, event, subject, data, error) VALUES ('media-people', 'x', 'x', '{}', 'x')"
long = pytest.mark.skipif("HITOK_ALERTS" not in os.environ, reason="make alerts breaks these, for two minutes")


def quick(rules: str) -> str:
    """Windows become 5 s and limits of a minute 12; what has to last does not have to. Other limits stay."""
    rules = re.sub(r"\[\d+[mh]\]", "[5s]", rules)
    rules = rules.replace("restarts_total[5s]", "restarts_total[60s]")  # restarts have growing pauses
    rules = re.sub(r"(seconds\)*) > 60$", r"\1 > 12", rules, flags=re.MULTILINE)
    return re.sub(r"^( +for:) \w+$", r"\1 0s", rules, flags=re.MULTILINE)


@contextmanager
def scraping(running: Everything, folder: Path, more: int = 0) -> Iterator[Prometheus]:
    """`more`: the port of another target."""
    for name in RULE_FILES:
        (folder / name).write_text(quick((FOLDER / name).read_text()))
    targets = running.metrics_targets() | ({"more": f"127.0.0.1:{more}"} if more else {})
    jobs = [{"job_name": name, "static_configs": [{"targets": [target]}]} for name, target in targets.items()]
    times = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump({"global": times, "rule_files": list(RULE_FILES), "scrape_configs": jobs}))
    with running_prometheus(file, folder) as prometheus:
        yield prometheus


async def wait(prometheus: Prometheus, fire: Set[str], quiet: Set[str] = frozenset(), seconds: float = 60) -> None:
    await asyncio.to_thread(prometheus.wait, lambda found: fire <= found and not quiet & found, seconds)


@asynccontextmanager
async def repeating(work: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    async def repeat() -> None:
        while True:
            with suppress(httpx.TimeoutException):
                await work()

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()  # raises what ended the work


def query(running: Everything, service: str, statement: str) -> None:
    settings = json.loads((running.var / "settings" / f"{service}.json").read_bytes())
    with psycopg.connect(settings[f"HITOK_{service.upper()}_POSTGRES_URL"]) as connection:
        connection.execute(statement)


def signal_all(pids: list[int], number: int) -> None:
    for pid in pids:
        os.kill(pid, number)


async def test_what_breaks_fires_and_goes_quiet_when_it_is_mended(tmp_path: Path) -> None:
    find_program("prometheus")  # or skip before anything starts
    port = find_free_port()
    mail = f"smtp://127.0.0.1:{port}"
    with (
        everything(tmp_path / "var", HITOK_SMTP_URL=mail, HITOK_SWEEP_SECONDS="1") as running,
        scraping(running, tmp_path) as prometheus,
    ):
        async with httpx.AsyncClient(base_url=running.urls[0], timeout=10) as http:
            front, _ = await register_by_phone(http)
            file = await front.call("POST", "/api/file/upload", files={"file": ("a.png", png(3, 3))})
            assert file.status_code == 200, file.text
            (lost,) = [path for path in (running.var / "media").rglob("*.png") if path.is_file()]
            lost.rename(tmp_path / "kept")
            chat = running.pid_of("chat")
            os.kill(chat, signal.SIGSTOP)

            async def ask_in_vain() -> None:
                address = f"{new_name()}@example.com"
                calls = [http.post("/api/login/login", json={"email": address, "password": "wrong"}) for _ in range(4)]
                await asyncio.gather(http.post("/api/login/send-code", json={"email": address}), *calls)

            broken = {"MailFails", "RequestsFail", "RouteFails", "LoginsRefused", "FilesMissing"}
            broken |= {"ProcessDown", "ServiceGone"}
            async with repeating(ask_in_vain):
                await wait(prometheus, broken)
            os.kill(chat, signal.SIGCONT)
            lost.parent.mkdir(exist_ok=True)
            (tmp_path / "kept").rename(lost)
            async with smtp_server(Mailbox(), port):
                answer = await http.post("/api/login/send-code", json={"email": f"{new_name()}@example.com"})
                assert answer.status_code == 200
                await wait(prometheus, set(), broken)


@long
async def test_servers_that_freeze_fire_and_go_quiet_when_they_go_on(tmp_path: Path) -> None:
    with (
        everything(tmp_path / "var", HITOK_RATE_LIMIT_SCALE="1000") as running,
        scraping(running, tmp_path) as prometheus,
    ):
        query(running, "media", LETTER)
        await wait(prometheus, {"DeadLetters", "BackupOld"})
        query(running, "media", "DELETE FROM dead_letter")
        command = [sys.executable, "-m", "deploy.backup", "create", str(tmp_path / "backups")]
        environ = os.environ | {"HITOK_VAR": str(running.var)}
        await asyncio.to_thread(subprocess.run, command, env=environ, check=True, capture_output=True)
        await wait(prometheus, set(), {"DeadLetters", "BackupOld"})
        async with httpx.AsyncClient(base_url=running.urls[0], timeout=10) as http:

            async def register() -> None:
                await asyncio.sleep(0.1)
                await http.post("/api/v1/user/register", json={"phone": "1", "password": "x"})
                await asyncio.gather(*(http.get("/api/videos") for _ in range(30)))

            cases = {
                "valkey": {"ValkeyAway"},
                "nats": {"NatsAway"},
                "postgres": {"PostgresAway"},
            }
            for server, alerts in cases.items():
                family = find_family(running.pid_of(server))
                signal_all(family, signal.SIGSTOP)
                async with repeating(register):
                    await wait(prometheus, alerts)
                signal_all(family, signal.SIGCONT)
                async with repeating(register):
                    await wait(prometheus, set(), alerts)
