"""Counts what a running stack does: statements, RPCs and NATS messages."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import nats
import psycopg
from nats.aio.msg import Msg

from bench.servers.processes import cpu_by_name
from deploy.local.servers.cluster import SUPERUSER

DONE_BELOW = 0.05  # of a core: what a burst set off is done once all processes together use less than this
SETTINGS = {"log_statement": "all", "log_line_prefix": "db=%d "}
STATEMENT = re.compile(rb"^db=hitok_(\w+) LOG:  (?:statement|execute [^:]+): (\S+)", re.MULTILINE)
UNCOUNTED = {b"BEGIN", b"COMMIT", b"ROLLBACK", b"BEGIN;", b"COMMIT;"}
RPCS = re.compile(r'^hitok_rpc_served_seconds_count\{[^}]*method="([^"]+)"[^}]*\} (\S+)$', re.MULTILINE)


class Counts(NamedTuple):
    """Of the time between two looks."""

    statements: Counter[str]  # by service
    rpcs: Counter[str]  # by method
    messages: Counter[str]  # by the first words of the subject


class Stack:
    """Counts what a running stack does."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "log" / "postgres.log"
        self.supervisor = int((folder / "lock").read_text())
        settings = [json.loads(path.read_bytes()) for path in (folder / "settings").glob("*.json")]
        names = {name: value for each in settings for name, value in each.items()}
        self.nats_url = names["HITOK_NATS_URL"]
        self._metrics = [names[name] for name in names if re.fullmatch(r"HITOK_\w+_METRICS_PORT", name)]
        self._admin = self._admin_url(folder, names)
        self._messages: Counter[str] = Counter()

    def _admin_url(self, folder: Path, names: dict[str, str]) -> str:
        password = json.loads((folder / "secrets.json").read_bytes())["postgres"]
        address = names["HITOK_USER_POSTGRES_URL"].rpartition("@")[2].partition("/")[0]
        return f"postgresql://{SUPERUSER}:{password}@{address}/postgres"

    def log_statements(self, on: bool) -> None:
        with psycopg.connect(self._admin, autocommit=True) as admin:
            for name, value in SETTINGS.items():
                change = f"SET {name} = '{value}'" if on else f"RESET {name}"
                admin.execute(f"ALTER SYSTEM {change}".encode())
            admin.execute("SELECT pg_reload_conf()")

    @asynccontextmanager
    async def hearing(self) -> AsyncIterator[None]:
        """Counts NATS messages while the block runs."""

        async def take(message: Msg) -> None:
            if not message.subject.startswith("beat."):
                name = ".".join(message.subject.split(".")[:2]) if message.subject[0] != "_" else "replies"
                self._messages[name] += 1

        client = await nats.connect(self.nats_url)
        await client.subscribe(">", cb=take)
        await client.flush()
        yield
        await client.close()

    async def counting(self, work: Callable[[], Awaitable[object]]) -> Counts:
        self._messages.clear()
        start, rpcs = self._log.stat().st_size, self._rpcs()
        await work()
        with self._log.open("rb") as log:
            log.seek(start)
            found = STATEMENT.findall(log.read())
        statements = Counter(service.decode() for service, verb in found if verb not in UNCOUNTED)
        return Counts(statements, self._rpcs() - rpcs, Counter(self._messages))

    def _rpcs(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for port in self._metrics:
            for method, count in RPCS.findall(httpx.get(f"http://127.0.0.1:{port}/metrics").text):
                found[method.rpartition("/")[2]] += int(float(count))
        return found

    async def until_done(self) -> None:
        """Waits until what was set off is done."""
        spent = sum(cpu_by_name(self.supervisor).values())
        while True:
            await asyncio.sleep(0.5)
            before, spent = spent, sum(cpu_by_name(self.supervisor).values())
            if spent - before < DONE_BELOW * 0.5 * 4:
                return
