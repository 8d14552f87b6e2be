"""The films: made, uploaded, published, commented on and liked."""

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import Any

from deploy.demo.clips import write_clip
from deploy.demo.stage import DemoError, Player, Stage
from deploy.demo.story import Comment, Video, friends_of

PROCESSING_SECONDS = 120.0
POLL_SECONDS = 0.5
MAKERS = 2  # films made at a time
PAGE = 50


async def show_films(stage: Stage, folder: Path, seconds: float) -> None:
    """`seconds` long each; made in `folder`, which is for us alone."""
    videos, files = stage.story.videos, dict[str, Any]()
    await stage.perform("films", lambda video: _make(stage, video, folder, seconds, files), videos, at_once=MAKERS)
    new = [video for video in videos if video.title in files]
    await stage.perform("publish", lambda video: _publish(stage, video, files[video.title]), new)
    await stage.perform("comments", partial(_discuss, stage), videos)
    await stage.perform("likes", partial(_like_all, stage), stage.players.values())


async def _make(stage: Stage, video: Video, folder: Path, seconds: float, files: dict[str, Any]) -> None:
    """And uploads it: `files` gets what was answered, by title. Nothing to do if it is published already."""
    owner = stage.players[video.owner]
    if await _find(owner, video):
        return
    clip = stage.draw.clip(video, seconds)
    path = folder / f"{clip.seed}.mp4"
    await asyncio.to_thread(write_clip, clip, path)
    with path.open("rb") as film:
        files[video.title] = await owner.ask("POST", "/api/file/upload", files={"file": (path.name, film, "video/mp4")})


async def _publish(stage: Stage, video: Video, file: Any) -> None:
    owner = stage.players[video.owner]
    await _wait_until_ready(owner, file)
    details = {"title": video.title, "description": video.description, "visibility": video.visibility}
    await owner.post("/api/videos/create-video", video_path=file["url"], **details)
    stage.added["videos"] += 1


async def _find(owner: Player, video: Video) -> Any:
    """As its owner sees it; None if it is not there."""
    shown = (await owner.get("/api/videos/user-videos", page_size=PAGE))["data"]
    return next((one for one in shown if one["title"] == video.title), None)


async def _wait_until_ready(owner: Player, file: Any) -> None:
    ends = time.monotonic() + PROCESSING_SECONDS
    while file["status"] == "processing" and time.monotonic() < ends:
        await asyncio.sleep(POLL_SECONDS)
        file = await owner.get("/api/file/status", id=file["url"])
    if file["status"] != "ready":
        reason = file["reason"] or "see the media service's log"
        raise DemoError(f"a film was uploaded, but is {file['status']} still: {reason}")


async def _discuss(stage: Stage, video: Video) -> None:
    shown = await _find(stage.players[video.owner], video)
    for comment in video.comments:
        father = await _say(stage, shown["id"], comment)
        for reply in comment.replies:
            player = stage.players[reply.by]
            thread = await player.get("/api/videos/get-comments", id=father, is_video="false", page_size=PAGE)
            if _said(thread, player, reply.text) is None:
                await player.post("/api/videos/comment-comments", father_id=father, content=reply.text)
                stage.added["comments"] += 1
        await _like_comment(stage, comment, father)


async def _say(stage: Stage, video_id: str, comment: Comment) -> str:
    """The comment's id."""
    player = stage.players[comment.by]
    where = {"id": video_id, "is_video": "true", "page_size": PAGE}
    said = _said(await player.get("/api/videos/get-comments", **where), player, comment.text)
    if said is None:
        await player.post("/api/videos/comment-video", video_id=video_id, content=comment.text)
        stage.added["comments"] += 1
        said = _said(await player.get("/api/videos/get-comments", **where), player, comment.text)
    assert said is not None, "a comment that was just written is not listed"
    return said


def _said(page: Any, player: Player, text: str) -> str | None:
    comments = page["comments"]
    return next((one["id"] for one in comments if one["user_id"] == player.id and one["content"] == text), None)


async def _like_comment(stage: Stage, comment: Comment, id: str) -> None:
    """Some of those who answered it, and so may see it. Again is no more than once."""
    for fan in stage.draw.fans(comment.text, [reply.by for reply in comment.replies]):
        await stage.players[fan].post("/api/videos/like-comments", comment_id=id)


async def _like_all(stage: Stage, player: Player) -> None:
    """What a person likes, he has watched."""
    titles = {video.title for video in stage.story.videos if player.person.key in _fans(stage, video)}
    liked = {one["id"] for one in (await player.get("/api/videos/liked-videos", page_size=PAGE))["data"]}
    for video in stage.story.videos:
        if video.title in titles:
            shown = await _find(stage.players[video.owner], video)
            if shown["id"] not in liked:
                await player.post("/api/videos/view-video", video_id=shown["id"], watched_seconds=5)
                await player.post("/api/videos/like-video", video_id=shown["id"])
                stage.added["likes"] += 1


def _fans(stage: Stage, video: Video) -> list[str]:
    everyone = [person.key for person in stage.story.people if person.key != video.owner]
    audience = {"public": everyone, "friends": friends_of(stage.story, video.owner), "private": []}[video.visibility]
    return stage.draw.fans(video.title, audience)
