"""Measures how late the event loop is: how long a busy or blocked process makes all of its callers wait."""

import asyncio
import time

from prometheus_client import Histogram

from services.kit.background import until
from services.kit.telemetry import BUCKETS

EVERY, IDLE_EVERY, IDLE = 1.0, 5.0, 0.01  # seconds; the second while the process uses less than IDLE of a core
LAG = Histogram("hitok_loop_lag_seconds", "How much later than asked the event loop called", buckets=BUCKETS)


def watch_loop() -> None:
    """Measures as long as the event loop runs."""

    def measure(due: float, spent: float, waited: float) -> None:
        LAG.observe(max(time.perf_counter() - due, 0.0))
        ask(EVERY if time.process_time() - spent > IDLE * waited else IDLE_EVERY)

    def ask(seconds: float) -> None:
        due = time.perf_counter() + (wait := until(seconds))
        asyncio.get_running_loop().call_later(wait, measure, due, time.process_time(), wait)

    ask(EVERY)
