"""How late the event loop is. A process is busy or blocked, and all of its callers wait that long."""

import asyncio
import time

from prometheus_client import Histogram

from services.kit.telemetry import BUCKETS

EVERY = 0.25  # seconds

LAG = Histogram("hitok_loop_lag_seconds", "How much later than asked the event loop called", buckets=BUCKETS)


def watch_loop() -> None:
    """From now on, as long as the loop runs."""
    loop = asyncio.get_running_loop()

    def measure(due: float) -> None:
        LAG.observe(max(time.perf_counter() - due, 0.0))
        ask()

    def ask() -> None:
        loop.call_later(EVERY, measure, time.perf_counter() + EVERY)

    ask()
