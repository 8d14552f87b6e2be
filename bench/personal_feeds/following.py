"""How fast is the feed of 5,000 followed users, and are follows as fast as likes?

Aims: a p99 of at most 3 times that of the public feed, a share of 0.35 of a bare handler, and of 0.5 of a gRPC echo.
"""

import json

import httpx

from bench.accounts import show
from bench.clients.load import build_request, load
from bench.likes import USERS, register_users
from bench.report import row, title
from bench.servers.echo import ROUNDS, SECONDS, compare_with_echo, running_echo
from bench.servers.stack import running_bare, running_stack
from bench.social import connect

VIEWERS = 8
OWNERS, VIDEOS, FOLLOWED, FOLLOWERS = 20_000, 100_000, 5_000, 1_000_000
FEW = 8  # connections, so that the figure is the time of a request and not of a queue
PAGES = 20
FILL = """
INSERT INTO video (id, owner_id, title, video_url, visibility, random_key, words)
 SELECT (n::bigint * 1000) << 22, 1 + floor({owners} * power(random(), 3)), 'v', 'https://x/', 0,
  (random() * 9e18)::bigint, '' FROM generate_series(1, {videos}) n;
INSERT INTO shelf (owner_id, public_count) SELECT owner_id, count(*) FROM video GROUP BY owner_id
 ON CONFLICT (owner_id) DO UPDATE SET public_count = excluded.public_count;
INSERT INTO standing (user_id, peer_id, follows) SELECT 1000000000 + n, 1, true FROM generate_series(1, {followers}) n;
"""
FOLLOW = """INSERT INTO standing (user_id, peer_id, follows)
 SELECT %s, owner, true FROM (SELECT 1 AS owner UNION SELECT owner FROM (SELECT generate_series(2, {owners}) AS owner
 ORDER BY random() LIMIT {followed} - 1) AS others) AS chosen"""


async def measure() -> None:
    with running_bare() as bare, running_echo() as echo, running_stack() as (base, folder):
        tokens = register_users(base, folder, USERS)
        with connect(folder, "user") as users:
            ids = [row[0] for row in users.execute("SELECT id FROM account ORDER BY id")]
        with connect(folder, "media") as media:
            media.execute("SET statement_timeout = 0")
            media.execute(FILL.format(owners=OWNERS, videos=VIDEOS, followers=FOLLOWERS))
            for id in ids[:VIEWERS]:
                media.execute(FOLLOW.format(owners=OWNERS, followed=FOLLOWED), [id])
        with connect(folder, "media") as media:
            media.autocommit = True
            media.execute("VACUUM ANALYZE")
        title(f"{FOLLOWED:,} followed of {OWNERS:,}, one with {FOLLOWERS:,} followers, {VIDEOS:,} videos")
        await feeds(bare, base, tokens[:VIEWERS])
        await later_pages(base, tokens[:VIEWERS])
        await follows(echo, base, tokens, ids)


async def feeds(bare: str, base: str, tokens: list[str]) -> None:
    paths = ("/api/videos", "/api/videos/following-videos")
    public, following = (
        [build_request(base + path, {"Authorization": f"Bearer {token}"}) for token in tokens] for path in paths
    )
    times, shares = [], []
    for _ in range(ROUNDS):
        floor = await load(bare, [build_request(bare, {})], FEW, SECONDS)
        results = [await load(base, requests, FEW, SECONDS) for requests in (public, following)]
        show("bare Litestar handler", floor)
        for path, result in zip(paths, results, strict=True):
            show(path, result)
        times.append(results[1].quantile(0.99) / results[0].quantile(0.99))
        shares.append(results[1].rate / floor.rate)
    row("p99, times the public feed", f"{sorted(times)[ROUNDS // 2]:.1f}", "aim: at most 3")
    row("share of the floor", f"{sorted(shares)[ROUNDS // 2]:.2f}", "aim: at least 0.35")


async def later_pages(base: str, tokens: list[str]) -> None:
    """Pages that no cache holds: each of a viewer, from one of many places."""
    times = []
    requests = {path: _later(base + path, tokens) for path in ("/api/videos", "/api/videos/following-videos")}
    for _ in range(ROUNDS):
        results = [await load(base, made, FEW, SECONDS) for made in requests.values()]
        for path, result in zip(requests, results, strict=True):
            show(f"{path}, later pages", result)
        times.append(results[1].quantile(0.99) / results[0].quantile(0.99))
    row("p99, times the public feed", f"{sorted(times)[ROUNDS // 2]:.1f}", "aim: at most 3")


def _later(url: str, tokens: list[str]) -> list[bytes]:
    made = []
    for token in tokens:
        headers, cursor = {"Authorization": f"Bearer {token}"}, ""
        for _ in range(PAGES):
            page = httpx.get(url, params={"cursor": cursor}, headers=headers).json()["data"]
            cursor = page["next_cursor"]
            made.append(build_request(f"{url}?cursor={cursor}", headers))
    return made


async def follows(echo: str, base: str, tokens: list[str], ids: list[int]) -> None:
    """All users follow the first, then all take it back, so that each request changes a row."""
    requests = [
        build_request(
            f"{base}/api/contact/{verb}",
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            "POST",
            json.dumps({"target_id": str(ids[number])}).encode(),
        )
        for verb in ("follow", "unfollow")
        for token, own in zip(tokens, ids, strict=True)
        for number in range(len(ids))
        if ids[number] != own
    ]
    await compare_with_echo(echo, base, "follow, unfollow", requests)
