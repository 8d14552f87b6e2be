"""How fast is the feed made for a viewer, with 100,000 videos and 10,000 users who watch and like by their tastes?

Aims: a p99 of at most 50 ms for a list that is made anew, and a share of 0.35 of a bare handler for first pages that
the gateway has. Runs in turn with the public feed, whose times say what the machine does meanwhile.
"""

import random

import httpx

from bench.accounts import show
from bench.clients.load import build_request, load, send_each
from bench.clients.people import Person
from bench.personal_feeds.tastes import make_tastes, write_tastes
from bench.report import row, title
from bench.servers.echo import ROUNDS
from bench.servers.stack import running_bare, running_stack
from bench.worlds.world import connect, fill
from services.media.videos.for_you.near_videos import COMPUTE

USERS, VIDEOS, OWNERS = 10_000, 100_000, 5_000
FEW, SECONDS = 8, 3.0
SIZES = range(10, 14)  # of pages, so that each viewer has several first pages that no cache has
PATHS = ("/api/videos", "/api/videos/for-you")


async def measure() -> None:
    with running_bare() as bare, running_stack() as (base, folder):
        people = fill(folder)
        ids = [int(person["id"]) for person in people]
        tastes = make_tastes([*ids, *range(10**15, 10**15 + USERS - len(ids))], VIDEOS, OWNERS)
        liked = {watch.video.id for watch in tastes.watches if watch.liked and watch.user_id >= ids[0]}
        with connect(folder, "media") as media:
            media.execute("SET statement_timeout = 0")
            write_tastes(media, tastes.videos, tastes.watches)
        with connect(folder, "media") as media:
            media.autocommit = True
            media.execute("SET statement_timeout = 0")
            media.execute("VACUUM ANALYZE")
            media.execute(COMPUTE.text.replace(":ids", "%s"), [sorted(liked)])
        likes = sum(watch.liked for watch in tastes.watches)
        title(f"{VIDEOS:,} videos, {USERS:,} users, {len(tastes.watches):,} watches, {likes:,} likes")
        for connections in (1, FEW):
            await made_anew(base, people, connections)
        await kept(bare, base, people)
        await later_pages(base, people)


def _first(url: str, person: Person, size: int) -> bytes:
    return build_request(f"{url}?page_size={size}", {"Authorization": f"Bearer {person['token']}"})


async def made_anew(base: str, people: list[Person], connections: int) -> None:
    """Each viewer once with each size; beside it the same requests for the latest videos."""
    for size in SIZES:
        chosen = random.sample(people, len(people) if connections > 1 else 100)
        public, ours = ([_first(base + path, person, size) for person in chosen] for path in PATHS)
        floor, made = await send_each(base, public, connections), await send_each(base, ours, connections)
        show(f"latest, {connections} at a time", floor)
        show(f"for you, {connections} at a time", made)
        row("p99 of for you", f"{made.quantile(0.99):.0f} ms", "aim: at most 50")


async def kept(bare: str, base: str, people: list[Person]) -> None:
    """First pages that the gateway has, since few viewers ask again and again."""
    shares: dict[str, list[float]] = {path: [] for path in PATHS}
    for _ in range(ROUNDS):
        floor = await load(bare, [build_request(bare, {})], FEW, SECONDS)
        show("bare Litestar handler", floor)
        for path in PATHS:
            result = await load(base, [_first(base + path, person, 10) for person in people[:FEW]], FEW, SECONDS)
            show(path, result)
            shares[path].append(result.rate / floor.rate)
    for path, found in shares.items():
        row(f"{path}, of the floor", f"{sorted(found)[ROUNDS // 2]:.2f}", "aim: at least 0.35")


async def later_pages(base: str, people: list[Person]) -> None:
    requests = [request for person in people[:40] for request in _later(base + PATHS[1], person)]
    show("for you, later pages", await load(base, requests, FEW, SECONDS))


def _later(url: str, person: Person) -> list[bytes]:
    made, headers, cursor = [], {"Authorization": f"Bearer {person['token']}"}, ""
    for _ in range(4):
        answer = httpx.get(url, params={"cursor": cursor}, headers=headers)
        cursor = answer.raise_for_status().json()["data"]["next_cursor"]
        made.append(build_request(f"{url}?cursor={cursor}", headers))
    return made
