"""Videos, comments and likes in the media service, by users who exist only as ids."""

import asyncio
import itertools
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from msgspec import structs
from sqlalchemy import text

from protos.media.v1 import comments_pb2 as comments_pb
from protos.media.v1 import videos_pb2 as pb
from protos.media.v1.comments_pb2_grpc import CommentsStub
from protos.media.v1.for_you_pb2_grpc import ForYouStub
from protos.media.v1.objects_pb2_grpc import ObjectsStub
from protos.media.v1.saves_pb2_grpc import SavesStub
from protos.media.v1.videos_pb2_grpc import VideosStub
from services.kit.nats import Event
from services.kit.process.commands import count_faults
from services.kit.rpc.channel import open_channel
from services.media.admin import FAULTS
from services.media.config import MediaSettings
from services.media.maintenance import counter_audit
from services.media.models import PROCESSING, READY
from services.media.processing import jobs
from services.media.relationships import projection
from services.media.resources import Resources
from services.media.servicers import PROTOS
from services.media.videos.commenting.pins import unpin_blocked
from tests.support.media import running_media_service
from tests.support.plans import plan_of, watching
from tests.support.social import act, new_user, new_users

URL = "https://example.com/v.mp4"
EVERYTHING = 50  # a whole page
_event_ids = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Videos:
    """A running media service, for tests of its videos."""

    settings: MediaSettings
    service: Resources
    target: str
    videos: VideosStub
    comments: CommentsStub
    objects: ObjectsStub
    for_you: ForYouStub
    saves: SavesStub


@asynccontextmanager
async def running_videos(settings: MediaSettings) -> AsyncIterator[Videos]:
    """Without processing. It does not hear other services: those of a test session share their events' consumer."""
    async with running_media_service(settings, background=False) as running:
        async with open_channel(running.target, settings, PROTOS) as channel:
            yield Videos(
                settings,
                running.service,
                running.target,
                VideosStub(channel),
                CommentsStub(channel),
                running.objects,
                ForYouStub(channel),
                SavesStub(channel),
            )


@asynccontextmanager
async def media_process(settings: MediaSettings) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m services.media`, to be killed; `settings` name its ports. Ready when the block begins."""
    values = {f"HITOK_{name.upper()}": str(value) for name, value in structs.asdict(settings).items()}
    environ, quiet = {"PATH": os.environ["PATH"], **values}, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.media", env=environ, stderr=quiet)
    try:
        async with open_channel(f"127.0.0.1:{settings.grpc_port}", settings, PROTOS) as channel:
            await asyncio.wait_for(channel.channel_ready(), 20)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def a_file(media: Videos, owner: int, extension: str = "mp4", kind: str = "video", state: int = READY) -> str:
    """The path of a file that the owner uploaded, of which there are only rows."""
    hash = f"{new_user():064x}"
    statement = """INSERT INTO object
        (hash, extension, kind, media_type, size, state, width, height, duration, blurhash)
        VALUES (:hash, :extension, :kind, 'video/mp4', 1, :state, 640, 360, 5000, 'LKO2')"""
    await execute(media, statement, hash=hash, extension=extension, kind=kind, state=state)
    await execute(media, "INSERT INTO upload (object_hash, user_id, size) VALUES (:h, :u, 1)", h=hash, u=owner)
    if state == PROCESSING:
        await execute(media, "INSERT INTO job (object_hash, profile) VALUES (:hash, 'playback')", hash=hash)
    return f"/media/{hash}.{extension}"


async def end_processing(media: Videos, file: str, reason: str = "") -> None:
    """As a worker does when the last job of a file has ended; `reason`: why it failed."""
    query = text(
        "SELECT job.profile, job.attempts, object.* FROM job JOIN object ON hash = object_hash WHERE hash = :h"
    )
    async with media.service.database.transaction() as connection:
        job = (await connection.execute(query, {"h": file[7:71]})).one()
        await jobs._end(connection, job, reason)


async def references(media: Videos, video_id: int) -> dict[str, int]:
    """The visibility of each file that the video shows, by its hash."""
    query = "SELECT object_hash, visibility FROM object_reference WHERE video_id = :id"
    return {row.object_hash: row.visibility for row in await execute(media, query, id=video_id)}


async def publish(media: Videos, owner: int, visibility: int = pb.PUBLIC, **fields: Any) -> pb.Video:
    request = pb.CreateVideoRequest(**{"video_url": URL, "title": "视频", "type": "video"} | fields)
    request.visibility = pb.Visibility.ValueType(visibility)
    answer: pb.Video = await act(owner, media.videos.CreateVideo, request)
    return answer


async def change(media: Videos, owner: int, video_id: int, **fields: Any) -> pb.Video:
    request = pb.UpdateVideoRequest(video_id=video_id, **fields)
    answer: pb.Video = await act(owner, media.videos.UpdateVideo, request)
    return answer


async def delete(media: Videos, user_id: int, video_id: int, role: int = 1) -> None:
    await act(user_id, media.videos.DeleteVideo, pb.DeleteVideoRequest(video_id=video_id), role)


async def get(media: Videos, viewer: int, video_id: int, role: int = 1) -> pb.Video | None:
    request = pb.BatchGetVideosRequest(video_ids=[video_id])
    found = (await act(viewer, media.videos.BatchGetVideos, request, role)).videos
    return found[0] if found else None


async def feed(media: Videos, viewer: int, order: int = pb.LATEST, role: int = 1, **part: Any) -> pb.VideoPage:
    request = pb.ListVideosRequest(**{"limit": EVERYTHING} | part)
    request.order = pb.VideoOrder.ValueType(order)
    answer: pb.VideoPage = await act(viewer, media.videos.ListVideos, request, role)
    return answer


async def set_likes(media: Videos, *changes: tuple[int, int, bool]) -> list[bool]:
    """Sets or removes likes, given as (user, video, liked). Returns which videos were found."""
    request = pb.SetVideoLikesRequest(changes=[_change(*change) for change in changes])
    return [outcome.found for outcome in (await media.videos.SetVideoLikes(request, timeout=10)).outcomes]


async def like(media: Videos, user_id: int, video_id: int, liked: bool = True) -> bool:
    return (await set_likes(media, (user_id, video_id, liked)))[0]


async def like_comment(media: Videos, user_id: int, comment_id: int, liked: bool = True) -> bool:
    request = comments_pb.SetCommentLikesRequest(changes=[_change(user_id, comment_id, liked)])
    return (await media.comments.SetCommentLikes(request)).outcomes[0].found


def _change(user_id: int, target_id: int, liked: bool, role: int = 1) -> pb.LikeChange:
    return pb.LikeChange(user_id=user_id, role=role, target_id=target_id, liked=liked)


async def comment(media: Videos, user_id: int, video_id: int, content: bytes = b'"hi"') -> comments_pb.Comment:
    return await comment_at(media.comments, user_id, video_id, content)


async def reply(media: Videos, user_id: int, comment_id: int, content: bytes = b'"re"') -> comments_pb.Comment:
    return await reply_at(media.comments, user_id, comment_id, content)


async def comment_at(stub: CommentsStub, user_id: int, video_id: int, content: bytes = b'"hi"') -> comments_pb.Comment:
    request = comments_pb.CommentVideoRequest(video_id=video_id, content=content)
    answer: comments_pb.Comment = await act(user_id, stub.CommentVideo, request)
    return answer


async def reply_at(stub: CommentsStub, user_id: int, comment_id: int, content: bytes = b'"re"') -> comments_pb.Comment:
    request = comments_pb.ReplyToCommentRequest(comment_id=comment_id, content=content)
    answer: comments_pb.Comment = await act(user_id, stub.ReplyToComment, request)
    return answer


async def uncomment(media: Videos, user_id: int, comment_id: int, role: int = 1) -> None:
    await act(user_id, media.comments.DeleteComment, comments_pb.DeleteCommentRequest(comment_id=comment_id), role)


async def get_comment(media: Videos, viewer: int, comment_id: int) -> comments_pb.Comment:
    answer: comments_pb.Comment = await act(
        viewer, media.comments.GetComment, comments_pb.GetCommentRequest(comment_id=comment_id)
    )
    return answer


async def comments_of(media: Videos, viewer: int, video_id: int, **part: Any) -> comments_pb.CommentPage:
    request = comments_pb.ListCommentsRequest(**{"id": video_id, "limit": EVERYTHING} | part)
    answer: comments_pb.CommentPage = await act(viewer, media.comments.ListComments, request)
    return answer


async def thread_of(media: Videos, viewer: int, comment_id: int, **part: Any) -> comments_pb.CommentPage:
    request = comments_pb.ListCommentsRequest(**{"id": comment_id, "limit": EVERYTHING} | part)
    answer: comments_pb.CommentPage = await act(viewer, media.comments.ListThread, request)
    return answer


async def view(media: Videos, user_id: int, video_id: int, seconds: float) -> bool:
    request = pb.ViewVideoRequest(video_id=video_id, watched_seconds=seconds)
    return bool((await act(user_id, media.videos.ViewVideo, request)).counted)


async def social_event(media: Videos, verb: str, actor_id: int, user_id: int, event_id: int = 0, **data: Any) -> None:
    """As the social service announces it: `friend.added`, `user.blocked`."""
    ids = {"actor_id": str(actor_id), "user_id": str(user_id), **data}
    told = Event(event_id or next(_event_ids), f"events.social.{verb}", "pair:1:2", "", ids)
    async with media.service.database.transaction() as connection:
        await projection.apply_events(connection, [told])
        await unpin_blocked(connection, [told])


async def befriend(media: Videos, a: int, b: int) -> None:
    """Both agree to it."""
    await social_event(media, "friend.accepted", a, b)


async def block(media: Videos, user_id: int, blocked_id: int) -> None:
    await social_event(media, "user.blocked", user_id, blocked_id)


async def execute(media: Videos, statement: str, **values: Any) -> list[Any]:
    """Of the service's own database; the rows, if there are any."""
    async with media.service.database.transaction() as connection:
        result = await connection.execute(text(statement), values)
        return list(result.all()) if result.returns_rows else []


async def verbs_of(media: Videos, video_id: int) -> list[str]:
    """The events of a video, oldest first."""
    query = "SELECT subject FROM outbox WHERE aggregate = :aggregate ORDER BY id"
    rows = await execute(media, query, aggregate=f"video:{video_id}")
    return [row.subject.removeprefix("events.media.") for row in rows]


async def faults(media: Videos) -> dict[str, int]:
    """The inconsistencies that the `check` command finds."""
    async with media.service.database.transaction() as connection:
        return {what: count for what, count in (await count_faults(connection, FAULTS)).items() if count}


async def all_pages(read: Any, **part: Any) -> list[Any]:
    """Every item of a list, page after page by its cursors."""
    items: list[Any] = []
    cursor = ""
    while True:
        page = await read(cursor=cursor, **part)
        items += page.videos if isinstance(page, pb.VideoPage) else page.comments
        cursor = page.next_cursor
        if not cursor:
            return items


async def grow(media: Videos, owner: int, count: int = 20_000) -> None:
    """Adds enough rows for the planner to choose indexes: videos of that owner, likes, comments and standings."""
    base = (await publish(media, owner)).video_id - (30 * 86_400_000 << 22)  # a month ago, and a millisecond each
    owners = [owner, *new_users(49)]
    await execute(
        media,
        "INSERT INTO video (id, owner_id, title, video_url, visibility, random_key, words, like_count)"
        " SELECT :base + (n::bigint << 22), (:owners)[n % 50 + 1], 'x', 'https://x/',"
        " (n % 20 > 16)::int + (n % 20 = 19)::int, (random() * 9e18)::bigint,"
        " array_to_tsvector(ARRAY['寻回']), 0 FROM generate_series(1, :count) n",
        base=base,
        owners=owners,
        count=count,
    )
    await execute(
        media,
        "INSERT INTO comment (id, video_id, father_id, user_id, owner_id, content)"
        " SELECT :base + (n::bigint << 22) + 1, :base + (n::bigint % 50 + 1 << 22), :base + (n::bigint << 22) + 1,"
        " n, 1, '1' FROM generate_series(1, :count) n",
        base=base,
        count=count,
    )
    await execute(
        media,
        "INSERT INTO video_like (video_id, user_id, withdrawn)"
        " SELECT :base + (n::bigint << 22), (:owners)[n % 7 + 1], true FROM generate_series(1, :count) n",
        base=base,
        owners=owners,
        count=count,
    )
    await execute(
        media,
        "INSERT INTO comment_like (comment_id, user_id, withdrawn)"
        " SELECT :base + (n::bigint << 22) + 1, (:owners)[n % 7 + 1], true FROM generate_series(1, :count) n",
        base=base,
        owners=owners,
        count=count,
    )
    await execute(
        media,
        "INSERT INTO standing (user_id, peer_id, friend)"
        " SELECT n % 500, n, n % 3 > 0 FROM generate_series(1, :count) n",
        count=count,
    )
    async with media.service.database.transaction() as connection:
        await counter_audit.repair(connection)
    for table in ("video", "comment", "video_like", "comment_like", "standing"):
        await execute(media, f"ANALYZE {table}")


@asynccontextmanager
async def explaining(media: Videos) -> AsyncIterator[list[tuple[str, str]]]:
    """Collects each statement of the service in the block; when the block ends, with its plan."""
    plans: list[tuple[str, str]] = []
    with watching(media.service.database) as seen:
        yield plans
    async with media.service.database.reading() as connection:
        plans += [(statement.shape.text, await plan_of(connection, statement)) for statement in seen]
