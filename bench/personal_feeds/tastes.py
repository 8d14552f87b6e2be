"""Users who watch and like videos by their tastes, made by chance: the same for the same seed.

Each video is of one of GROUPS groups and has its tag in two of three cases, a tag that all use in every second one. How
good it is, how active a user is and whose videos there are have long tails. A user has one to three groups, the first
half of what they like. They come at times of their own, and watch what is of their groups (60 %), popular (25 %) or any
(15 %), of the videos published by then, rather new ones. Of a video of their groups they watch most and like one in
three, the more the better it is; of others they skip two of three and like one in fifty.
"""

import math
import random
from bisect import bisect_left
from typing import NamedTuple

import psycopg

GROUPS = 24
SPAN_MS = 60 * 86_400_000  # from the first video to the last
RECENT = 0.2  # of the videos so far, those that are watched most


class Video(NamedTuple):
    id: int
    owner_id: int
    group: int
    quality: float
    tags: list[str]


class Watch(NamedTuple):
    at: float  # 0 to 1 of the span
    user_id: int
    video: Video
    share: int
    liked: bool


class Tastes(NamedTuple):
    videos: list[Video]
    watches: list[Watch]  # in the order of time


def make_tastes(users: list[int], count: int, owners: int, seed: int = 7) -> Tastes:
    """`owners`: of the videos; their ids are 1 and up."""
    chance = random.Random(seed)
    videos = [_video(chance, number, count, owners) for number in range(count)]
    of_group = [[video for video in videos if video.group == group] for group in range(GROUPS)]
    better = [sorted(range(max(at - 50, 0), at), key=lambda n: -videos[n].quality)[:10] for at in range(0, count, 50)]
    watches = [watch for user_id in users for watch in _of_user(chance, user_id, videos, of_group, better)]
    return Tastes(videos, sorted(watches, key=lambda watch: watch.at))


def _video(chance: random.Random, number: int, count: int, owners: int) -> Video:
    group = min(int(chance.expovariate(1) * GROUPS / 3), GROUPS - 1)
    owner = 1 + int(owners * chance.random() ** 3)
    if chance.random() < 0.7:  # an author has one subject
        group = owner % GROUPS
    tags = [f"group{group}"] * (chance.random() < 2 / 3) + ["foryou"] * (chance.random() < 0.5)
    id = (SPAN_MS * (number + 1) // count << 22) + number % 1024
    return Video(id, owner, group, chance.lognormvariate(0, 1), tags)


def _of_user(
    chance: random.Random, user_id: int, videos: list[Video], of_group: list[list[Video]], better: list[list[int]]
) -> list[Watch]:
    groups = chance.sample(range(GROUPS), chance.randint(1, 3))
    seen: set[int] = set()
    found = []
    for _ in range(min(int(chance.lognormvariate(3.3, 1)), 600)):
        at = chance.random()
        video = _choose(chance, at, chance.choice(groups), videos, of_group, better)
        if video is None or video.id in seen:
            continue
        seen.add(video.id)
        mine = video.group in groups
        liked = chance.random() < (min(0.35 * math.sqrt(video.quality), 0.9) if mine else 0.02)
        share = chance.randint(60, 100) if mine or liked else 0 if chance.random() < 2 / 3 else chance.randint(20, 60)
        found.append(Watch(at, user_id, video, share, liked))
    return found


def _choose(
    chance: random.Random,
    at: float,
    group: int,
    videos: list[Video],
    of_group: list[list[Video]],
    better: list[list[int]],
) -> Video | None:
    kind = chance.random()
    if kind < 0.25:
        until = int(at * (len(better) - 1))
        best = better[max(until - int(chance.expovariate(1) * RECENT * until), 0)]
        return videos[chance.choice(best)] if best else None
    source = of_group[group] if kind < 0.85 else videos
    until = bisect_left(source, int(at * SPAN_MS) << 22, key=lambda video: video.id)
    place = until - 1 - int(chance.expovariate(1) * RECENT * until)
    if place < 0:
        return None
    return max((source[max(place - chance.randrange(8), 0)] for _ in range(2)), key=lambda video: video.quality)


def write_tastes(media: psycopg.Connection, videos: list[Video], watches: list[Watch]) -> None:
    """Into the media service's tables, with the counts as they then are."""
    likes = [watch for watch in watches if watch.liked]
    with media.cursor() as cursor:
        columns = "video (id, owner_id, title, video_url, visibility, random_key, words, tags)"
        with cursor.copy(f"COPY {columns} FROM STDIN") as copy:
            for video in videos:
                tags = "{" + ",".join(video.tags) + "}"
                copy.write_row(
                    (video.id, video.owner_id, "v", "https://x/", 0, video.id % 2**31 * 4_000_000_007, "", tags)
                )
        with cursor.copy("COPY watched_video (user_id, video_id, share, watched_at) FROM STDIN") as copy:
            for watch in watches:
                copy.write_row((watch.user_id, watch.video.id, watch.share, _moment(watch.at)))
        with cursor.copy("COPY video_like (video_id, user_id, created_at) FROM STDIN") as copy:
            for watch in likes:
                copy.write_row((watch.video.id, watch.user_id, _moment(watch.at)))
    media.execute(COUNTS)


def _moment(at: float) -> str:
    day, rest = divmod(at * 59, 1)
    return f"2026-{1 + int(day) // 28:02}-{1 + int(day) % 28:02} {int(rest * 24):02}:{int(rest * 1440) % 60:02}:00+00"


COUNTS = """
INSERT INTO video_tag (video_id, name, owner_id, visibility, day)
 SELECT id, unnest(tags), owner_id, 0, '2026-01-01' FROM video WHERE tags <> '{}';
INSERT INTO shelf (owner_id, public_count) SELECT owner_id, count(*) FROM video GROUP BY owner_id
 ON CONFLICT (owner_id) DO UPDATE SET public_count = excluded.public_count;
UPDATE video SET view_count = w.n FROM
 (SELECT video_id, count(*) AS n FROM watched_video WHERE share > 0 GROUP BY 1) AS w WHERE w.video_id = id;
UPDATE video SET like_count = l.n FROM (SELECT video_id, count(*) AS n FROM video_like GROUP BY 1) AS l
 WHERE l.video_id = id;
"""
