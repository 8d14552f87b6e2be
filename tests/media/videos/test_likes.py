"""Likes and shares: the row is the truth, the counter follows it exactly, whatever happens at once."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Coroutine
from contextlib import suppress
from typing import Any

import grpc.aio
import pytest

from deploy.local.ports import find_free_port
from protos.media.v1 import videos_pb2 as pb
from protos.media.v1.comments_pb2_grpc import CommentsStub
from protos.media.v1.videos_pb2_grpc import VideosStub
from services.kit import schema
from services.kit.rpc.channel import open_channel
from services.media.config import MediaSettings
from services.media.service import MIGRATIONS
from services.media.servicers import PROTOS
from tests.support import videos as v
from tests.support.media import media_settings
from tests.support.plans import watching
from tests.support.servers import Servers
from tests.support.social import act, new_user, new_users, refusal
from tests.support.videos import Videos, comment, execute, get, like, like_comment, publish, set_likes, verbs_of


async def count(videos: Videos, video_id: int) -> int:
    video = await get(videos, new_user(), video_id)
    assert video
    return video.like_count


async def test_a_like_is_a_state_not_an_event(videos: Videos) -> None:
    owner, fan = new_users(2)
    video = (await publish(videos, owner)).video_id
    for _ in range(3):
        assert await like(videos, fan, video)
    assert await like(videos, owner, video)
    assert await count(videos, video) == 2
    for _ in range(2):
        assert await like(videos, fan, video, False)
    assert await count(videos, video) == 1
    assert await like(videos, fan, video)
    assert await count(videos, video) == 2


async def test_the_owner_is_told_once_of_each_user(videos: Videos) -> None:
    owner, fan, other = new_users(3)
    video = (await publish(videos, owner)).video_id
    for liked in (True, False, True, True):
        await like(videos, fan, video, liked)
    await like(videos, other, video)
    assert await verbs_of(videos, video) == ["video.published", "video.liked", "video.liked"]


async def test_one_batch_keeps_the_order_of_arrival(videos: Videos) -> None:
    owner, fan, fickle = new_users(3)
    video = (await publish(videos, owner)).video_id
    changes = [
        (fan, video, True),
        (fickle, video, True),
        (fan, video, False),
        (fan, video, True),
        (fickle, video, False),
    ]
    assert await set_likes(videos, *changes) == [True] * 5
    assert await count(videos, video) == 1
    pairs = [pb.UserVideo(user_id=user, video_id=video) for user in (fan, fickle)]
    assert list((await videos.videos.BatchGetLiked(pb.BatchGetLikedRequest(pairs=pairs))).liked) == [True, False]


async def test_one_that_cannot_be_liked_does_not_stop_the_others(videos: Videos) -> None:
    owner, fan = new_users(2)
    seen, hidden = (await publish(videos, owner)).video_id, (await publish(videos, owner, pb.PRIVATE)).video_id
    asked = [(fan, hidden, True), (fan, 1, True), (fan, -5, True), (fan, seen, True), (owner, hidden, True)]
    assert await set_likes(videos, *asked) == [False, False, False, True, True]
    assert await count(videos, seen) == 1


async def test_likes_of_comments(videos: Videos) -> None:
    owner, author, fan = new_users(3)
    video = (await publish(videos, owner)).video_id
    top = (await comment(videos, author, video)).comment_id
    answer = (await v.reply(videos, owner, top)).comment_id
    for target in (top, answer):
        assert await like_comment(videos, fan, target)
        assert await like_comment(videos, fan, target)
        assert (await v.get_comment(videos, fan, target)).like_count == 1
    await v.uncomment(videos, author, top)
    assert not await like_comment(videos, fan, answer)
    assert not await like_comment(videos, fan, top)
    assert (await verbs_of(videos, video)).count("comment.liked") == 2


async def test_a_share_counts_once_a_user(videos: Videos) -> None:
    owner, fan, other = new_users(3)
    video = (await publish(videos, owner)).video_id
    request = pb.ShareVideoRequest(video_id=video)
    await asyncio.gather(*(act(user, videos.videos.ShareVideo, request) for user in (fan, other) for _ in range(10)))
    shown = await get(videos, owner, video)
    assert shown
    assert shown.share_count == 2
    assert await refusal(act(fan, videos.videos.ShareVideo, pb.ShareVideoRequest(video_id=7))) == "VIDEO_NOT_FOUND"


async def test_many_at_once_on_many_videos(videos: Videos) -> None:
    """Also across requests of many changes each, which lock many videos: no deadlock."""
    owner, *fans = new_users(21)
    ids = [(await publish(videos, owner)).video_id for _ in range(10)]
    top = [(await comment(videos, owner, id)).comment_id for id in ids]
    chance = random.Random(7)
    calls: list[Awaitable[object]] = []
    for _ in range(60):
        changes = [(chance.choice(fans), chance.choice(ids), chance.random() < 0.6) for _ in range(20)]
        calls.append(set_likes(videos, *changes))
        calls.append(comment(videos, chance.choice(fans), chance.choice(ids)))
        calls.append(like_comment(videos, chance.choice(fans), chance.choice(top), chance.random() < 0.7))
    await asyncio.gather(*calls)  # the fixture compares counters and rows


@pytest.fixture
async def killed(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> MediaSettings:
    ports = {f"HITOK_{name}_PORT": str(find_free_port()) for name in ("GRPC", "METRICS")}
    url, folder = servers.create_database("killed"), tmp_path_factory.mktemp("killed")
    return media_settings(url, servers, folder, HITOK_WORKERS="0", **ports)


async def test_counters_survive_kill_minus_nine(killed: MediaSettings) -> None:
    """1,000 likes and unlikes by 100 users, comments and replies among them; what was answered is what is."""
    schema.upgrade(killed.postgres_url, MIGRATIONS)
    owner, *fans = new_users(101)
    target = f"127.0.0.1:{killed.grpc_port}"
    async with v.media_process(killed), open_channel(target, killed, PROTOS) as channel:
        request = pb.CreateVideoRequest(title="热", video_url=v.URL)
        video = (await act(owner, VideosStub(channel).CreateVideo, request)).video_id
        top = (await v.comment_at(CommentsStub(channel), owner, video)).comment_id
    answered: Counter[str] = Counter()
    for _ in range(2):
        async with v.media_process(killed) as process, open_channel(target, killed, PROTOS) as channel:
            calls = storm(VideosStub(channel), CommentsStub(channel), fans, video, top, answered)
            tasks = [asyncio.create_task(call) for call in calls]
            while sum(answered.values()) < 150:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            process.kill()
            await asyncio.gather(*tasks)
    async with v.running_videos(killed) as again:
        assert not await v.faults(again)
        (row,) = await execute(again, "SELECT like_count, comment_count FROM video WHERE id = :id", id=video)
        (likes,) = await execute(
            again, "SELECT count(*) FROM video_like WHERE video_id = :id AND NOT withdrawn", id=video
        )
        assert row.like_count == likes.count
        assert row.comment_count >= 1 + answered["comment"] + answered["reply"]
        assert answered["like"] > 50


def storm(
    stub: VideosStub, comments: CommentsStub, fans: list[int], video: int, top: int, answered: Counter[str]
) -> list[Coroutine[Any, Any, None]]:
    """500 likes and unlikes, and 50 comments and 50 replies, not begun yet."""

    async def counted(what: str, call: Awaitable[object]) -> None:
        with suppress(grpc.aio.AioRpcError):
            await call
            answered[what] += 1

    calls = []
    for number in range(500):
        changed = pb.LikeChange(user_id=fans[number % 100], role=1, target_id=video, liked=number % 3 != 2)
        calls.append(counted("like", stub.SetVideoLikes(pb.SetVideoLikesRequest(changes=[changed]), timeout=5)))
        if number % 10 == 0:
            calls.append(counted("comment", v.comment_at(comments, fans[number % 100], video)))
            calls.append(counted("reply", v.reply_at(comments, fans[number % 100], top)))
    return calls


async def test_a_like_with_its_count_and_event_is_one_statement(videos: Videos) -> None:
    owner, fan = new_users(2)
    video = (await publish(videos, owner)).video_id
    with watching(videos.service.database) as seen:
        await v.like(videos, fan, video)
        await v.like(videos, fan, video, liked=False)
    assert len([each for each in seen if "video_like" in each.shape.text and "UPDATE" in each.shape.text]) == 2
    assert not [each for each in seen if each.shape.text.startswith("UPDATE video ")]
