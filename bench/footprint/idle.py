"""What hitok costs while nobody uses it, and how soon a message or a notification then comes.

A stack as `make run` starts it on a machine of two cores. Memory means something only without another hitok on the
machine: libraries that both use are divided between them.
"""

import asyncio
import json
import statistics
import time
from collections import Counter
from pathlib import Path

import httpx

from bench.clients.people import message, post, register_all
from bench.clients.sockets import Client, open_client
from bench.report import row, title
from bench.servers.counting import Stack
from bench.servers.processes import family_cpu, family_memory, programs
from bench.servers.stack import running_stack

SETTLE, WINDOW = 75.0, 45.0  # seconds: until a start has calmed down, and of measurement
TIMES = 60  # messages, and likes; one of each per second


async def measure() -> None:
    with running_stack() as (base, folder):
        await asyncio.sleep(SETTLE)
        supervisor = Stack(folder).supervisor
        show_memory(supervisor)
        title(f"nobody uses it, for {WINDOW:g} s")
        before = family_cpu(supervisor)
        await asyncio.sleep(WINDOW)
        share = (family_cpu(supervisor) - before) / WINDOW * 100
        row("CPU of all processes", f"{share:.2f} %", "of a core, processes that ended included; aim: at most 1")
        await show_delays(base, folder)


def show_memory(supervisor: int) -> None:
    memory, names = family_memory(supervisor), dict(programs(supervisor))
    by_name = Counter[str]()
    for pid, found in memory.items():
        by_name[names.get(pid, "PostgreSQL's processes, make run")] += found  # type: ignore[assignment]
    title(f"memory after {SETTLE:g} s")
    for name, found in by_name.most_common():
        row(name, f"{found:.0f} MB")
    row("all", f"{sum(memory.values()):.0f} MB", "aim: at most 400")


async def show_delays(base: str, folder: Path) -> None:
    title("delays, one of each per second")
    async with httpx.AsyncClient(base_url=base, timeout=60) as http:
        anna, ben = await register_all(http, 2)
        await post(http, anna, "/api/contact/add-friend", username=ben["name"])
        await post(http, ben, "/api/contact/add-friend", username=anna["name"])
        for number in range(TIMES):
            film = {"video_path": "https://example.com/v.mp4", "title": f"film {number}"}
            await post(http, ben, "/api/videos/create-video", **film)
        answer = await http.get(
            "/api/videos/user-videos?page_size=50", headers={"Authorization": f"Bearer {ben['token']}"}
        )
        videos = [video["id"] for video in answer.json()["data"]["data"]]
        (sender, _), (receiver, _) = [await open_client(base, person["token"]) for person in (anna, ben)]
        waiting = Waiting(receiver)
        messages, likes = [], []
        for number in range(TIMES):
            await asyncio.sleep(0.5)
            messages.append(await waiting.after("message", sender.ask("send", **message({"user_id": ben["id"]}))))
            await asyncio.sleep(0.5)
            if number < len(videos):
                like = post(http, anna, "/api/videos/like-video", video_id=videos[number])
                likes.append(await waiting.after("notification", asyncio.ensure_future(like)))
    for name, delays in (("a message, at its receiver", messages), ("a like, as a notification", likes)):
        note = f"p90 {statistics.quantiles(delays, n=10)[-1]:.1f} ms, most {max(delays):.1f}; {len(delays)} of them"
        row(name, f"{statistics.median(delays):.1f} ms", note)


class Waiting:
    """For the next event of a kind at a socket."""

    def __init__(self, client: Client) -> None:
        client.on_event = self._take
        self._kind = ""
        self._came: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def _take(self, payload: bytes) -> None:
        if json.loads(payload)["type"] == self._kind and not self._came.done():
            self._came.set_result(time.perf_counter())

    async def after(self, kind: str, work: "asyncio.Future[object]") -> float:
        """Milliseconds from now, where the work begins, to the event."""
        began = time.perf_counter()
        self._kind, self._came = kind, asyncio.get_running_loop().create_future()
        async with asyncio.timeout(10):
            await work
            return (await self._came - began) * 1000
