"""Are all answers of the four mixes right, and is none a 503? Each answer is read, and counters are compared with rows.

`MIXES=mixed,hot` runs those alone, `SECONDS=30` each for so long, `CONNECTIONS=256` with so many.
"""

import asyncio
import itertools
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from bench.clients.load import Connection, quantile
from bench.clients.people import Person
from bench.report import row, title
from bench.routes import prepare, request
from bench.servers.counting import Stack
from bench.servers.stack import running_stack
from bench.worlds import catalogue, world
from bench.worlds.catalogue import Body, World
from bench.worlds.mixes import MIXES

CONNECTIONS = int(os.environ.get("CONNECTIONS", "64"))
SECONDS = float(os.environ.get("SECONDS", "10"))
READ_BACK = 10  # each so many comments, their writer looks whether they see their own

Check = Callable[[World, Person, Body, Any], bool]


class Wanted(NamedTuple):
    route: str
    person: Person
    values: Body


def _page(filled: World, person: Person, values: Body, data: Any) -> bool:
    ids = [int(video["id"]) for video in data["data"]]
    return len(ids) == values["page_size"] and ids == sorted(set(ids), reverse=True)


def _messages(filled: World, person: Person, values: Body, data: Any) -> bool:
    seqs = [message["seq"] for message in data["messages"]]
    return bool(seqs) and seqs == list(range(seqs[0], seqs[0] - len(seqs), -1))


# Whether the data of an answer is right.
CHECKS: dict[str, Check] = {
    "GET /api/user/get-my-info": lambda filled, person, values, data: data["id"] == person["id"],
    "GET /api/user/get-user-info": lambda filled, person, values, data: data["id"] == values["id"],
    "GET /api/videos": _page,
    "GET /api/videos/get-video": lambda filled, person, values, data: data["video"]["id"] == values["video_id"],
    "GET /api/videos/get-video-likes": lambda filled, person, values, data: int(data["video_likes"]) >= 0,
    "GET /api/videos/get-comments": lambda filled, person, values, data: (
        len(data["comments"]) > 0 and {each["video_id"] for each in data["comments"]} == {values["id"]}
    ),
    "POST /api/contact/get-friend-list": lambda filled, person, values, data: len(data["users"]) == filled.friends,
    "POST /api/chat/send": lambda filled, person, values, data: (
        data["client_msg_id"] == values["client_msg_id"] and not data["duplicate"]
    ),
    "GET /api/chat/messages": _messages,
}

# What differs from its rows; the messages of a conversation are numbered without a gap.
COUNTERS = {
    "media": (
        "SELECT count(*) FROM video WHERE"
        " like_count <> (SELECT count(*) FROM video_like WHERE video_id = video.id AND NOT withdrawn)"
        " OR comment_count <> (SELECT count(*) FROM comment WHERE video_id = video.id AND deleted_at IS NULL)"
    ),
    "chat": (
        "SELECT count(*) FROM conversation WHERE last_seq <>"
        " (SELECT count(*) FROM message WHERE conversation_id = conversation.id)"
    ),
}


class Seen:
    """What a mix was answered with."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.busy, self.refused, self.wrong = Counter[str](), Counter[str](), Counter[str]()

    def take(self, filled: World, wanted: Wanted, status: int, body: bytes) -> None:
        if status in (502, 503, 504):
            self.busy[wanted.route] += 1
        elif status >= 500 or not (200 <= status < 300 or body.startswith(b"{")):
            self.wrong[f"{wanted.route} {status}"] += 1
        elif status != 200:
            self.refused[f"{wanted.route} {status} {json.loads(body).get('message', '')}"] += 1
        elif not _is_right(filled, wanted, json.loads(body)):
            self.wrong[wanted.route] += 1


def _is_right(filled: World, wanted: Wanted, answer: Any) -> bool:
    if not wanted.route.split()[1].startswith("/api/"):
        return bool(answer.get("code", 200) == 200)
    check = CHECKS.get(wanted.route)
    is_right = check is None or check(filled, wanted.person, wanted.values, answer["data"])
    return is_right and bool(answer["code"] == 20000)


async def measure() -> None:
    asked = os.environ.get("MIXES", "").split(",")
    with running_stack() as (base, folder):
        async with httpx.AsyncClient(base_url=base, timeout=60) as http:
            filled = await prepare(http, folder)
        stack = Stack(folder)
        await stack.until_done()
        title(f"the mixes, {CONNECTIONS} connections, {len(filled.people)} users, {SECONDS:g} s each")
        for name, shares in MIXES.items():
            if any(part in name for part in asked):
                await run(base, filled, name, shares)
                await stack.until_done()
        for service, query in COUNTERS.items():
            with world.connect(folder, service) as connection:
                (wrong,) = connection.execute(query.encode()).fetchone() or (None,)
            row(f"counters of {service}", f"{wrong}", "differ from their rows")
        show_log(folder)


async def run(base: str, filled: World, name: str, shares: dict[str, int]) -> None:
    seen, turns = Seen(), walk(filled, shares)
    address = urlsplit(base)
    began = time.perf_counter()

    async def ask() -> None:
        _, connection = await asyncio.get_running_loop().create_connection(
            Connection, str(address.hostname), int(address.port or 80)
        )
        for wanted in turns:
            if time.perf_counter() > began + SECONDS:
                break
            started = time.perf_counter()
            status, _ = await connection.ask(request(base, *wanted))
            seen.latencies.append(time.perf_counter() - started)
            seen.take(filled, wanted, status, connection.body)
            if wanted.route.endswith("comment-video") and status == 200 and len(seen.latencies) % READ_BACK == 0:
                await read_back(connection, wanted)
        connection.transport.close()

    async def read_back(connection: Connection, wrote: Wanted) -> None:
        reads = Wanted("GET /api/videos/get-comments", wrote.person, {"id": wrote.values["video_id"], "is_video": True})
        status, _ = await connection.ask(request(base, *reads))
        comments = json.loads(connection.body)["data"]["comments"] if status == 200 else []
        if status == 200 and wrote.person["id"] not in {comment["user_id"] for comment in comments}:
            seen.wrong["own comment not seen"] += 1

    await asyncio.gather(*(ask() for _ in range(CONNECTIONS)))
    seconds = time.perf_counter() - began
    note = f"p50 {quantile(seen.latencies, 0.5):.1f} ms  p99 {quantile(seen.latencies, 0.99):.1f} ms"
    found = f"{seen.busy.total()} x 503  {seen.wrong.total()} wrong  {seen.refused.total()} refused by a rule"
    row(name, f"{len(seen.latencies) / seconds:.0f}/s", f"{note}  {len(seen.latencies)} answers: {found}")
    for what, count in [*seen.busy.items(), *seen.wrong.items(), *seen.refused.items()]:
        row("", str(count), what)


def walk(filled: World, shares: dict[str, int]) -> Iterator[Wanted]:
    """The users in turn, the routes in theirs."""
    order = [route for route, share in shares.items() for _ in range(share)]
    for turn in itertools.count():
        for route in order:
            yield Wanted(route, filled.people[turn % len(filled.people)], catalogue.of(route)(filled, turn))


def show_log(folder: Path) -> None:
    """The errors and warnings of all processes, since a 503 has its cause there."""
    found = Counter[str]()
    for path in (folder / "log").glob("*.log"):
        for line in path.read_bytes().splitlines():
            if b'"level": "error"' in line or b'"level":"error"' in line or b'"warning"' in line:
                found[f"{path.stem}: {json.loads(line).get('event')}"] += 1
    for what, count in found.most_common():
        row("log", str(count), what)
