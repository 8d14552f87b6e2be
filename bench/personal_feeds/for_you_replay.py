"""Does the feed made for a viewer find what they go on to like? Replay of made behaviour (tastes.py).

All that happened until a moment is in the database; then each viewer's first list is asked for and compared with what
they liked afterwards, of videos that were there. Beside it stand lists that are the same for all: the latest, the most
popular and a random one, each without what the viewer has seen, and the feed without one of its parts.
"""

import random
from collections import defaultdict
from collections.abc import Awaitable, Callable

import psycopg

from bench.personal_feeds.tastes import Tastes, make_tastes, write_tastes
from bench.report import row, title
from bench.servers.database import scratch_database
from services.kit.context import Caller
from services.kit.db import Database
from services.media.service import MIGRATIONS
from services.media.videos.for_you import near_videos, scoring
from services.media.videos.for_you.feed import list_for_you
from services.media.videos.for_you.pool import SharedPool
from services.media.videos.pages import PageRequest

USERS, VIDEOS, OWNERS, VIEWERS = 2_000, 6_000, 600, 400
UNTIL = 0.8  # of the span
TOPS = (10, 50)
UNSEEN = "SELECT id FROM video WHERE NOT EXISTS (SELECT FROM watched_video w WHERE user_id = %s AND video_id = id)"
LISTS = {
    "latest": f"{UNSEEN} ORDER BY id DESC LIMIT 50",
    "popular": f"{UNSEEN} ORDER BY score DESC LIMIT 50",
    "random": f"{UNSEEN} ORDER BY random() LIMIT 50",
}

Recommend = Callable[[int], Awaitable[list[int]]]


async def measure() -> None:
    users = list(range(1_000_000, 1_000_000 + USERS))
    tastes = make_tastes(users, VIDEOS, OWNERS)
    later = liked_later(tastes)
    viewers = random.Random(1).sample(sorted(later), min(VIEWERS, len(later)))
    with scratch_database(MIGRATIONS) as url:
        with psycopg.connect(url, autocommit=True) as media:
            before = [watch for watch in tastes.watches if watch.at < UNTIL]
            there = [video for video in tastes.videos if video.id < last_id(tastes)]
            write_tastes(media, there, before)
            media.execute("VACUUM ANALYZE")
        database = Database(url)
        await compute_near(database)
        likes = sum(watch.liked for watch in before)
        title(
            f"{len(there):,} videos, {USERS:,} users, {len(before):,} watches, {likes:,} likes; {len(viewers)} viewers"
        )
        await compare(database, viewers, later, len(there))
        database.pool.close()


def last_id(tastes: Tastes) -> int:
    return tastes.videos[int(len(tastes.videos) * UNTIL)].id


def liked_later(tastes: Tastes) -> dict[int, set[int]]:
    """By user, the videos that were there at the moment and that they liked after it."""
    found: dict[int, set[int]] = defaultdict(set)
    for watch in tastes.watches:
        if watch.at >= UNTIL and watch.liked and watch.video.id < last_id(tastes):
            found[watch.user_id].add(watch.video.id)
    return found


async def compute_near(database: Database) -> None:
    keeper = near_videos.NearVideoKeeper()
    while await keeper.renew(database) or keeper.is_within_turn:
        pass


async def compare(database: Database, viewers: list[int], later: dict[int, set[int]], count: int) -> None:
    pool = await SharedPool(database).get()

    async def for_you(viewer: int) -> list[int]:
        async with database.reading() as connection:
            found = await list_for_you(connection, Caller(viewer), pool, PageRequest("", 50), public_as_ids=True)
        return [int(id) for id in found.page.videos]

    def same_for_all(query: str) -> Recommend:
        async def recommend(viewer: int) -> list[int]:
            with psycopg.connect(database.url) as media:
                return [id for (id,) in media.execute(query, [viewer])]

        return recommend

    await show("for you", for_you, viewers, later, count)
    for name, query in LISTS.items():
        await show(name, same_for_all(query), viewers, later, count)
    for part, weight in list(scoring.WEIGHTS.items()):
        scoring.WEIGHTS[part] = 0.0
        await show(f"for you without {part}", for_you, viewers, later, count)
        scoring.WEIGHTS[part] = weight


async def show(name: str, recommend: Recommend, viewers: list[int], later: dict[int, set[int]], count: int) -> None:
    """Hit rate: of viewers who later liked one of the first so many. Coverage: of videos that anybody was shown."""
    lists = {viewer: await recommend(viewer) for viewer in viewers}
    hits = [
        sum(not later[viewer].isdisjoint(ids[:top]) for viewer, ids in lists.items()) / len(viewers) for top in TOPS
    ]
    found = sum(len(later[viewer].intersection(ids)) for viewer, ids in lists.items())
    recall = found / sum(len(later[viewer]) for viewer in viewers)
    coverage = len({id for ids in lists.values() for id in ids}) / count
    row(name, f"{hits[0]:.3f}", f"hit rate of 10; of 50 {hits[1]:.3f}; recall {recall:.3f}; coverage {coverage:.2f}")
