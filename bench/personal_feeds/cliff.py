"""What does the first page of the feed cost a viewer who has 0, 1 or 100 private videos? Aim: at most 1.5 times."""

import httpx

from bench.clients.load import Result, build_request, load
from bench.likes import publish, register_users
from bench.report import row, title
from bench.servers.processes import cpu, pid_of
from bench.servers.stack import running_stack

PRIVATE = (0, 1, 100)  # videos
VIDEOS = 60
CONNECTIONS = 8
SECONDS = 3.0
ROUNDS = 3
PROCESSES = ("gateway", "services.media", "services.user")


async def measure() -> None:
    with running_stack() as (base, folder):
        owner, *viewers = register_users(base, folder, 1 + len(PRIVATE))
        for _ in range(VIDEOS):
            publish(base, owner)
        for token, count in zip(viewers, PRIVATE, strict=True):
            hide(base, token, count)
        title(f"/api/videos, page 1, {VIDEOS} public videos, {CONNECTIONS} connections")
        pids = [pid_of(process, folder) for process in PROCESSES]
        spent: dict[int, list[float]] = {count: [] for count in PRIVATE}
        for _ in range(ROUNDS):  # in turn, because the load of these machines varies
            for token, count in zip(viewers, PRIVATE, strict=True):
                request = build_request(f"{base}/api/videos?page_size=50", {"Authorization": f"Bearer {token}"})
                before = sum(map(cpu, pids))
                done = await load(base, [request], CONNECTIONS, SECONDS)
                spent[count].append(show(count, done, sum(map(cpu, pids)) - before))
        costs = [sorted(spent[count])[ROUNDS // 2] for count in PRIVATE]
        row("dearest to cheapest", f"{max(costs) / min(costs):.2f}", "aim: at most 1.5")


def hide(base: str, token: str, count: int) -> None:
    """Publishes private videos."""
    headers = {"Authorization": f"Bearer {token}"}
    video = {"video_path": "https://example.com/v.mp4", "title": "mine", "visibility": "private"}
    for _ in range(count):
        httpx.post(f"{base}/api/videos/create-video", json=video, headers=headers).raise_for_status()


def show(count: int, done: Result, seconds: float) -> float:
    """Returns the CPU of our processes for a request, in milliseconds."""
    spent = seconds / done.requests * 1000
    row(f"{count} private", f"{done.rate:.0f} /s", f"{spent:.2f} ms CPU, p50 {done.quantile(0.5):.1f} ms")
    return spent
