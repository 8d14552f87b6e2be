"""Makes the videos, uploads and publishes them, comments on them and likes them."""

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import Any

from deploy.demo.clips import write_clip
from deploy.demo.demo_run import DemoError, DemoRun, DemoUser
from deploy.demo.story import Comment, Video, friends_of

PROCESSING_SECONDS = 120.0
POLL_SECONDS = 0.5
MAKERS = 2  # videos made at a time
PAGE = 50


async def upload_videos(run: DemoRun, folder: Path, seconds: float) -> None:
    """Each is `seconds` long, and is made in `folder`, which nothing else uses."""
    videos, files = run.story.videos, dict[str, Any]()
    await run.for_each("videos", lambda video: _make(run, video, folder, seconds, files), videos, at_once=MAKERS)
    new = [video for video in videos if video.title in files]
    await run.for_each("publish", lambda video: _publish(run, video, files[video.title]), new)
    await run.for_each("comments", partial(_comment, run), videos)
    await run.for_each("likes", partial(_like_all, run), run.users.values())


async def _make(run: DemoRun, video: Video, folder: Path, seconds: float, files: dict[str, Any]) -> None:
    """Makes and uploads a video, unless it is published already. Puts the uploaded file into `files` under the video's
    title."""
    owner = run.users[video.owner]
    if await _find(owner, video):
        return
    clip = run.choices.clip(video, seconds)
    path = folder / f"{clip.seed}.mp4"
    await asyncio.to_thread(write_clip, clip, path)
    with path.open("rb") as film:
        files[video.title] = await owner.ask("POST", "/api/file/upload", files={"file": (path.name, film, "video/mp4")})


async def _publish(run: DemoRun, video: Video, file: Any) -> None:
    owner = run.users[video.owner]
    await _wait_until_ready(owner, file)
    details = {"title": video.title, "description": video.description, "visibility": video.visibility}
    await owner.post("/api/videos/create-video", video_path=file["url"], **details)
    run.added["videos"] += 1


async def _find(owner: DemoUser, video: Video) -> Any:
    """The video as its owner sees it; None if there is none."""
    shown = (await owner.get("/api/videos/user-videos", page_size=PAGE))["data"]
    return next((one for one in shown if one["title"] == video.title), None)


async def _wait_until_ready(owner: DemoUser, file: Any) -> None:
    ends = time.monotonic() + PROCESSING_SECONDS
    while file["status"] == "processing" and time.monotonic() < ends:
        await asyncio.sleep(POLL_SECONDS)
        file = await owner.get("/api/file/status", id=file["url"])
    if file["status"] != "ready":
        reason = file["reason"] or "see the media service's log"
        raise DemoError(f"an uploaded video is still {file['status']}: {reason}")


async def _comment(run: DemoRun, video: Video) -> None:
    shown = await _find(run.users[video.owner], video)
    for comment in video.comments:
        comment_id = await _write_comment(run, shown["id"], comment)
        for reply in comment.replies:
            user = run.users[reply.by]
            thread = await user.get("/api/videos/get-comments", id=comment_id, is_video="false", page_size=PAGE)
            if _find_comment(thread, user, reply.text) is None:
                await user.post("/api/videos/comment-comments", father_id=comment_id, content=reply.text)
                run.added["comments"] += 1
        await _like_comment(run, comment, comment_id)


async def _write_comment(run: DemoRun, video_id: str, comment: Comment) -> str:
    """Returns the comment's id."""
    user = run.users[comment.by]
    where = {"id": video_id, "is_video": "true", "page_size": PAGE}
    said = _find_comment(await user.get("/api/videos/get-comments", **where), user, comment.text)
    if said is None:
        await user.post("/api/videos/comment-video", video_id=video_id, content=comment.text)
        run.added["comments"] += 1
        said = _find_comment(await user.get("/api/videos/get-comments", **where), user, comment.text)
    assert said is not None, "a comment that was just written is not listed"
    return said


def _find_comment(page: Any, user: DemoUser, text: str) -> str | None:
    comments = page["comments"]
    return next((one["id"] for one in comments if one["user_id"] == user.id and one["content"] == text), None)


async def _like_comment(run: DemoRun, comment: Comment, id: str) -> None:
    """Only users who replied to the comment like it: they may see it. Liking twice is liking once."""
    for liker in run.choices.likers(comment.text, [reply.by for reply in comment.replies]):
        await run.users[liker].post("/api/videos/like-comments", comment_id=id)


async def _like_all(run: DemoRun, user: DemoUser) -> None:
    """A user likes only videos that they have watched."""
    titles = {video.title for video in run.story.videos if user.person.key in _likers(run, video)}
    liked = {one["id"] for one in (await user.get("/api/videos/liked-videos", page_size=PAGE))["data"]}
    for video in run.story.videos:
        if video.title in titles:
            shown = await _find(run.users[video.owner], video)
            if shown["id"] not in liked:
                await user.post("/api/videos/view-video", video_id=shown["id"], watched_seconds=5)
                await user.post("/api/videos/like-video", video_id=shown["id"])
                run.added["likes"] += 1


def _likers(run: DemoRun, video: Video) -> list[str]:
    everyone = [person.key for person in run.story.people if person.key != video.owner]
    audience = {"public": everyone, "friends": friends_of(run.story, video.owner), "private": []}[video.visibility]
    return run.choices.likers(video.title, audience)
