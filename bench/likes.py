"""How fast is one hot video liked and unliked through the gateway? Aim: at least 0.5 of a gRPC echo."""

import json
from pathlib import Path

import httpx

from bench.clients.load import build_request
from bench.report import title
from bench.servers.echo import CONNECTIONS, compare_with_echo, running_echo
from bench.servers.stack import register, running_stack

USERS = 50


async def measure() -> None:
    with running_echo() as echo, running_stack() as (base, folder):
        tokens = register_users(base, folder, USERS)
        video_id = publish(base, tokens[0])
        requests = like_requests(base, tokens, video_id)
        title(f"likes and unlikes of one video, {CONNECTIONS} connections, {USERS} users")
        await compare_with_echo(echo, base, "like-video, unlike-video", requests)


def register_users(base: str, folder: Path, count: int) -> list[str]:
    """Their tokens."""
    return [register(base, folder)[1] for _ in range(count)]


def publish(base: str, token: str) -> str:
    """The id of a new video."""
    headers = {"Authorization": f"Bearer {token}"}
    video = {"video_path": "https://example.com/v.mp4", "title": "热门"}
    httpx.post(f"{base}/api/videos/create-video", json=video, headers=headers).raise_for_status()
    newest = httpx.get(f"{base}/api/videos/user-videos", headers=headers).raise_for_status().json()
    id: str = newest["data"]["data"][0]["id"]
    return id


def like_requests(base: str, tokens: list[str], video_id: str) -> list[bytes]:
    """All users like the video, then all take it back, so that each request changes a row."""
    body = json.dumps({"video_id": video_id}).encode()
    return [
        build_request(
            f"{base}/api/videos/{verb}-video",
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            "POST",
            body,
        )
        for verb in ("like", "unlike")
        for token in tokens
    ]
