"""Checks pushes to users who are away: the keys in the settings, and what became of the last pushes. Sends none."""

import asyncio
import urllib.request
from collections import Counter
from typing import Any

import psycopg
from prometheus_client.parser import text_string_to_metric_families

from deploy.doctor.checks import CheckContext, Concern, Fault
from gateway.config import SERVICE as GATEWAY
from gateway.config import GatewaySettings
from services.chat.away.configuration import open_drivers
from services.chat.config import ChatSettings

SECONDS = 5
LATE = "due_at < now() - interval '2 minutes' AND NOT sending"  # the worker looks every 5 s
WAITING = f"""SELECT count(*) FILTER (WHERE {LATE}), count(*) FILTER (WHERE attempts > 0)
 FROM away_push WHERE done_at IS NULL"""  # noqa: S608
METRIC = "hitok_chat_away_pushes_total"
LEAST, SHARE = 5, 1 / 3  # failures that are worth a warning, as in the alert PushesFail


async def check_pushes(context: CheckContext) -> str:
    """Needs the chat service's database. What was sent is known only where its metrics can be read."""
    settings = context.settings["chat"]
    assert isinstance(settings, ChatSettings)
    async with open_drivers(settings) as drivers:  # raises ConfigError
        kinds = sorted(drivers.by_kind)
    if not kinds:
        return "none are sent: no HITOK_PUSH_ key is set (docs/push.md)"
    late, retried = await _waiting(settings.postgres_url)
    if late:
        raise Fault(f"{late} pushes have been due for more than 2 minutes. Does the chat service run? See its log")
    gateway = context.settings[GATEWAY]
    assert isinstance(gateway, GatewaySettings)
    host = gateway.chat_target.rpartition("/")[2].rpartition(":")[0]
    ended = await asyncio.to_thread(_read_outcomes, f"http://{host}:{settings.metrics_port}/metrics")
    failed = ended["failed"] + ended["lost"] + ended["retry"]
    told = f"{', '.join(kinds)}: keys are good; " + _say(ended["sent"], failed, retried)
    if failed >= LEAST and failed > SHARE * (failed + ended["sent"]):
        raise Concern(f"{told}. The chat service's log says `push not sent` with what the push service answered")
    return told


async def _waiting(url: str) -> tuple[int, int]:
    """How many pushes are late, and how many are being tried again."""
    async with await psycopg.AsyncConnection.connect(url, connect_timeout=SECONDS) as connection:
        row: Any = await (await connection.execute(WAITING)).fetchone()
    return row[0], row[1]


def _read_outcomes(url: str) -> Counter[str]:
    """Pushes by outcome since the chat service started; none if its metrics cannot be read from here."""
    found: Counter[str] = Counter()
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # noqa: S310 (http, from the settings)
            text = answer.read().decode()
    except OSError:
        return found
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == METRIC:
                found[sample.labels["outcome"]] += int(sample.value)
    return found


def _say(sent: int, failed: int, retried: int) -> str:
    return f"{sent} sent, {failed} failed since the chat service started, {retried} are being tried again"
