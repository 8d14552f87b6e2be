"""How fast are like counts, the first page of the feed and comments read? Aim: at least 0.35 of a bare handler."""

from bench.accounts import show
from bench.clients.load import build_request, load
from bench.likes import publish, register_users
from bench.report import row, title
from bench.servers.stack import running_bare, running_stack

USERS = 20
VIDEOS = 60
CONNECTIONS = 64
SECONDS = 4.0
ROUNDS = 3


async def measure() -> None:
    with running_bare() as bare, running_stack() as (base, folder):
        tokens = register_users(base, folder, USERS)
        ids = [publish(base, tokens[number % USERS]) for number in range(VIDEOS)]
        reads = {
            "get-video-likes": f"/api/videos/get-video-likes?video_id={ids[0]}",
            "videos, page 1": "/api/videos",
            "get-comments, first": f"/api/videos/get-comments?is_video=true&id={ids[0]}",
        }
        title(f"reads, {CONNECTIONS} connections, {USERS} users, {VIDEOS} videos")
        for name, path in reads.items():
            await throughput(bare, base, name, path, tokens)


async def throughput(bare: str, base: str, name: str, path: str, tokens: list[str]) -> None:
    requests = [build_request(base + path, {"Authorization": f"Bearer {token}"}) for token in tokens]
    shares = []
    for _ in range(ROUNDS):
        floor = await load(bare, [build_request(bare, {})], CONNECTIONS, SECONDS)
        ours = await load(base, requests, CONNECTIONS, SECONDS)
        show("bare Litestar handler", floor)
        show(name, ours)
        shares.append(ours.rate / floor.rate)
    row("share of the floor", f"{sorted(shares)[ROUNDS // 2]:.2f}", "aim: at least 0.35")
