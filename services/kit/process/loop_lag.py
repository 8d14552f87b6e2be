"""Measures how late the event loop is: how long a busy or blocked process makes all of its callers wait."""

import asyncio
import time

from prometheus_client import Histogram

from services.kit.background import until
from services.kit.telemetry import BUCKETS

EVERY = 1.0  # seconds
LAG = Histogram("hitok_loop_lag_seconds", "How much later than asked the event loop called", buckets=BUCKETS)


def watch_loop() -> None:
    """Measures as long as the event loop runs."""
    loop = asyncio.get_running_loop()

    def measure(due: float) -> None:
        LAG.observe(max(time.perf_counter() - due, 0.0))
        ask()

    def ask() -> None:
        wait = until(EVERY)
        loop.call_later(wait, measure, time.perf_counter() + wait)

    ask()
