"""The people around an owner's videos, with a front end each."""

import asyncio
import os
import struct
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import text

from services.media.relationships.projection import SUBJECTS
from tests.support import social as graph
from tests.support.gateway import FrontEnd
from tests.support.media import png, video
from tests.support.people import BETWEEN, Person, new_people, relate
from tests.support.social import Running as Social
from tests.support.user import Running as Users
from tests.support.videos import Videos, execute

URL = "https://example.com/v.mp4"
VISIBILITIES = ("public", "friends", "private")


@dataclass(slots=True)
class VideoWorld:
    """`videos` by visibility: each has an uploaded file and a comment by the owner."""

    visitor: FrontEnd
    owner: Person
    friend: Person
    stranger: Person
    blocked: Person
    admin: Person
    added: Person  # added the owner, who did not agree
    former: Person  # was a friend until the owner ended it
    refused: Person  # asked the owner, who refused
    muted: Person  # whom the owner muted
    muting: Person  # who muted the owner
    videos: dict[str, str]
    comments: dict[str, str]
    files: dict[str, str]

    def front_end(self, kind: str) -> FrontEnd:
        found: FrontEnd = self.visitor if kind == "anonymous" else getattr(self, kind)
        return found


async def new_video_world(visitor: FrontEnd, users: Users, social: Social, media: Videos) -> VideoWorld:
    kinds = ("owner", "friend", "stranger", "blocked", "admin", *BETWEEN, "muting")
    people = dict(zip(kinds, await new_people(visitor, users, len(kinds)), strict=True))
    owner, friend, blocked, admin, muting = (people[kind] for kind in ("owner", "friend", "blocked", "admin", "muting"))
    between = [people[kind] for kind in BETWEEN]
    async with users.service.database.transaction() as connection:
        await connection.execute(text(f"UPDATE account SET role = 3 WHERE id = {admin.id}"))
    await graph.add(social, owner.id, friend.id)
    await graph.add(social, friend.id, owner.id)
    await graph.block(social, owner.id, blocked.id)
    await relate(social, owner, *between)
    await muting.post("/api/contact/mute", target_id=owner.uid)
    await heard(media, social, owner.id, friend.id, blocked.id, *(person.id for person in between[:2]))
    world = VideoWorld(visitor, videos={}, comments={}, files={}, **people)
    for visibility in VISIBILITIES:
        world.files[visibility] = await upload(owner, media)
        made = await publish(owner, video_path=world.files[visibility], visibility=visibility, title="学姐")
        world.videos[visibility] = made["id"]
        world.comments[visibility] = await comment(owner, made["id"])
    return world


async def heard(media: Videos, social: Social, user_id: int, *peer_ids: int) -> None:
    """Waits until the media service has applied the last event between the user and each of the others."""
    last = "SELECT max(id) AS id FROM outbox WHERE aggregate = :pair AND subject = ANY(:subjects)"
    applied = """SELECT max(greatest(friend_event, blocks_event, blocked_event)) AS id FROM standing
        WHERE user_id IN (:one, :other) AND peer_id IN (:one, :other)"""
    for peer_id in peer_ids:
        pair = f"pair:{min(user_id, peer_id)}:{max(user_id, peer_id)}"
        (sent,) = await graph.execute(social, last, pair=pair, subjects=SUBJECTS)
        async with asyncio.timeout(20):
            while (await execute(media, applied, one=user_id, other=peer_id))[0].id != sent.id:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def upload(person: Person, media: Videos) -> str:
    """The url of a unique film that can be played."""
    files = {"file": ("a.mp4", _film() + _free_box(), "video/mp4")}
    sent = await person.ok("POST", "/api/file/upload", files=files)
    await execute(media, "UPDATE job SET due_at = NULL WHERE object_hash = :hash", hash=sent["id"])
    await execute(media, "UPDATE object SET state = 2 WHERE hash = :hash", hash=sent["id"])
    url: str = sent["url"]
    return url


async def upload_picture(person: Person) -> str:
    sent = await person.ok("POST", "/api/file/upload", files={"file": ("a.png", png(), "image/png")})
    url: str = sent["url"]
    return url


@cache
def _film() -> bytes:
    return video(seconds=0.3)


def _free_box() -> bytes:
    """A box that players skip; it makes the file unique."""
    return struct.pack(">I4s16s", 24, b"free", os.urandom(16))


async def publish(person: Person, **fields: Any) -> dict[str, Any]:
    """As it is listed then."""
    assert await person.post("/api/videos/create-video", **{"video_path": URL, "title": "视频"} | fields) == {}
    listed: list[dict[str, Any]] = (await person.get("/api/videos/user-videos", page_size=4))["data"]
    return max(listed, key=lambda each: int(each["id"]))  # behind up to three pinned ones


async def comment(person: Person, video_id: str, content: Any = "hi") -> str:
    assert await person.post("/api/videos/comment-video", video_id=video_id, content=content) == {}
    listed = (await person.get("/api/videos/get-comments", id=video_id, is_video="true", page_size=2))["comments"]
    return str(max(int(each["id"]) for each in listed))  # behind a pinned one
