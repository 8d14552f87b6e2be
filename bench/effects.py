"""What does a write set off, alone and beside 63 others: statements, RPCs, messages, and CPU of every process?

`WRITES=comment-video,add-friend` measures those alone.
"""

import asyncio
import itertools
import json
import os
import statistics
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import NamedTuple

import httpx

from bench.clients.load import Result, build_request, send_each
from bench.clients.people import Person, make_group, register_all
from bench.likes import publish
from bench.report import row, title
from bench.servers.counting import Counts, Stack
from bench.servers.processes import cpu_by_name
from bench.servers.stack import running_stack

USERS = 100
CONNECTIONS = 64
GROUPS = 5  # that all join, one after the other
LONE = 6  # writes, one after the other
QUIET = 1.0  # seconds after a lone write until all that it sets off is done
IDLE_SECONDS = 20.0


class Write(NamedTuple):
    name: str
    requests: Iterator[bytes]
    burst: int


async def measure() -> None:
    with running_stack() as (base, folder):
        stack = Stack(folder)
        async with httpx.AsyncClient(base_url=base, timeout=30) as http:
            people = await register_all(http, USERS)
            writes = await prepare(http, base, people)
            await stack.until_done()
            idle = await idle_cost(stack)
            for write in writes:
                if write.name not in os.environ.get("WRITES", write.name).split(","):
                    continue
                title(write.name)
                await alone(stack, base, write, idle)
                await together(stack, base, write)


async def prepare(http: httpx.AsyncClient, base: str, people: list[Person]) -> list[Write]:
    videos = [publish(base, person["token"]) for person in people[:8]]
    groups = [await make_group(http, owner) for owner in people[:GROUPS]]

    def request(person: Person, path: str, **body: object) -> bytes:
        headers = {"Authorization": f"Bearer {person['token']}", "Content-Type": "application/json"}
        return build_request(base + path, headers, "POST", json.dumps(body).encode())

    turns = itertools.cycle(people[1:])
    comments = (
        request(person, "/api/videos/comment-video", video_id=videos[0], content={"text": "how nice"})
        for person in turns
    )
    pairs = [(a, b) for n, a in enumerate(people) for b in people[n + 1 :]]
    pairs.sort(key=lambda pair: hash(pair[0]["name"] + pair[1]["name"]))
    half = len(pairs) // 2
    adds = (request(a, "/api/contact/add-friend", username=b["name"]) for a, b in pairs[:half])
    asks = (request(a, "/v1/social/friend/putIn", user_uid=b["id"], req_msg="hi", req_time=1) for a, b in pairs[half:])
    likes = (request(person, "/api/videos/like-video", video_id=video) for video in videos for person in people)
    path = "https://example.com/v.mp4"
    creates = (request(person, "/api/videos/create-video", video_path=path, title="film") for person in turns)
    joins = (
        request(person, "/api/contact/join-community", community_id=group)
        for group, person in itertools.product(groups, people[GROUPS:])
    )
    return [
        Write("comment-video", comments, 600),
        Write("add-friend", adds, 400),
        Write("friend/putIn", asks, 400),
        Write("like-video", likes, 400),
        Write("create-video", creates, 200),
        Write("join-community", joins, 400),
    ]


async def idle_cost(stack: Stack) -> Counts:
    title(f"idle, {IDLE_SECONDS:g} s")
    before = cpu_by_name(stack.supervisor)
    await asyncio.sleep(IDLE_SECONDS)
    after = cpu_by_name(stack.supervisor)
    spent = {name: (after[name] - before.get(name, 0)) / IDLE_SECONDS for name in after}
    row("CPU, of one core", f"{sum(spent.values()):.1%}", _shares({name: f"{s:.2%}" for name, s in spent.items() if s}))
    stack.log_statements(True)
    counts = await _during(stack, lambda: asyncio.sleep(IDLE_SECONDS))
    stack.log_statements(False)
    per_second = {name: f"{count / IDLE_SECONDS:.1f}" for name, count in counts.statements.most_common()}
    row("statements a second", f"{counts.statements.total() / IDLE_SECONDS:.1f}", _shares(per_second))
    return counts


async def alone(stack: Stack, base: str, write: Write, idle: Counts) -> None:
    async def run() -> None:
        for request in itertools.islice(write.requests, LONE):
            latencies.extend((await send_each(base, [request], 1)).latencies)
            await asyncio.sleep(QUIET)

    latencies: list[float] = []
    stack.log_statements(True)
    await asyncio.sleep(1)
    counts = await _during(stack, run)
    stack.log_statements(False)
    share = LONE * QUIET / IDLE_SECONDS
    statements = {name: (n - idle.statements[name] * share) / LONE for name, n in counts.statements.items()}
    each = {name: f"{n:.1f}" for name, n in sorted(statements.items()) if n > 0.05}
    row("alone: statements", f"{sum(map(float, each.values())):.1f}", _shares(each))
    for name, found, before in (("RPCs", counts.rpcs, idle.rpcs), ("messages", counts.messages, idle.messages)):
        left = {key: (n - before[key] * share) / LONE for key, n in found.items()}
        left = {key: n for key, n in left.items() if n > 0.1}
        row(f"alone: {name}", f"{sum(left.values()):.1f}", _shares({key: f"{n:.1f}" for key, n in left.items()}))
    row("alone: p50", f"{statistics.median(latencies) * 1000:.1f} ms")


async def together(stack: Stack, base: str, write: Write) -> None:
    requests = list(itertools.islice(write.requests, write.burst))
    counted = requests[: len(requests) // 4]
    measured = requests[len(counted) :]
    stack.log_statements(True)
    await asyncio.sleep(1)
    counts = await _during(stack, lambda: _burst(stack, base, counted))
    stack.log_statements(False)
    each = {name: f"{n / len(counted):.2f}" for name, n in counts.statements.most_common()}
    row("together: statements", f"{counts.statements.total() / len(counted):.2f}", _shares(each))
    row("together: RPCs", f"{counts.rpcs.total() / len(counted):.2f}")
    row("together: messages", f"{counts.messages.total() / len(counted):.2f}")
    await stack.until_done()
    before = cpu_by_name(stack.supervisor)
    result = await _burst(stack, base, measured)
    after = cpu_by_name(stack.supervisor)
    failed = f", {result.failures} failed" if result.failures else ""
    row("together: rate", f"{result.rate:.0f}/s", f"p50 {result.quantile(0.5):.0f} ms{failed}")
    spent = {name: (after[name] - before.get(name, 0)) * 1000 / len(measured) for name in after}
    row("CPU each", f"{sum(spent.values()):.2f} ms", _shares({name: f"{s:.2f}" for name, s in spent.items() if s}))


async def _burst(stack: Stack, base: str, requests: Sequence[bytes]) -> Result:
    result = await send_each(base, requests, CONNECTIONS)
    await stack.until_done()
    return result


async def _during(stack: Stack, work: Callable[[], Awaitable[object]]) -> Counts:
    async with stack.hearing():
        return await stack.counting(work)


def _shares(values: dict[str, str]) -> str:
    return "  ".join(f"{name} {value}" for name, value in values.items())
