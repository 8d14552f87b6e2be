"""Views: what counts as one, and how often; Valkey away costs views and nothing else."""

import asyncio

import pytest
from sqlalchemy import text

from protos.media.v1 import videos_pb2 as pb
from services.media.videos import views
from services.valkey.client import open_redis
from tests.support.social import new_user, new_users, refusal
from tests.support.videos import Videos, execute, publish, view

HASH = "ab" * 32


async def count(videos: Videos, video_id: int) -> int:
    (row,) = await execute(videos, "SELECT view_count FROM video WHERE id = :id", id=video_id)
    return int(row.view_count)


async def a_clip(videos: Videos, owner: int, milliseconds: int) -> int:
    """A video of a file of ours, that long."""
    statement = """INSERT INTO object (hash, extension, kind, media_type, size, state, duration)
        VALUES (:hash, 'mp4', 'video', 'video/mp4', 1, 2, :duration)
        ON CONFLICT (hash) DO UPDATE SET duration = excluded.duration"""
    await execute(videos, statement, hash=HASH, duration=milliseconds)
    upload = "INSERT INTO upload (object_hash, user_id, size) VALUES (:hash, :user, 1)"
    await execute(videos, upload, hash=HASH, user=owner)
    return (await publish(videos, owner, video_url=f"/media/{HASH}.mp4")).video_id


@pytest.mark.parametrize(("seconds", "counted"), [(1.9, False), (2.0, True), (100.0, True), (0.0, False)])
async def test_two_seconds_are_a_view(videos: Videos, seconds: float, counted: bool) -> None:
    video = (await publish(videos, new_user())).video_id
    assert await view(videos, new_user(), video, seconds) is counted
    assert await count(videos, video) == counted


@pytest.mark.parametrize(("duration", "seconds", "counted"), [(3000, 1.5, True), (3000, 1.4, False), (0, 0.0, False)])
async def test_so_is_half_of_a_short_one(videos: Videos, duration: int, seconds: float, counted: bool) -> None:
    video = await a_clip(videos, new_user(), duration)
    assert await view(videos, new_user(), video, seconds) is counted


async def test_once_a_viewer_and_hour(videos: Videos) -> None:
    video, viewer = (await publish(videos, new_user())).video_id, new_user()
    assert sorted(await asyncio.gather(*(view(videos, viewer, video, 5) for _ in range(10)))) == [False] * 9 + [True]
    assert 3_500 < await videos.service.redis.ttl(f"viewed:{video}:{viewer}") <= 3_600
    await videos.service.redis.delete(f"viewed:{video}:{viewer}")  # an hour later
    assert await view(videos, viewer, video, 5)
    assert await count(videos, video) == 2


async def test_many_viewers_at_once(videos: Videos) -> None:
    owner = new_user()
    ids = [(await publish(videos, owner)).video_id for _ in range(5)]
    await asyncio.gather(*(view(videos, user, id, 3) for user in new_users(12) for id in ids))
    assert [await count(videos, id) for id in ids] == [12] * 5


async def test_what_one_may_not_see_one_cannot_view(videos: Videos) -> None:
    video = (await publish(videos, new_user(), pb.PRIVATE)).video_id
    assert await refusal(view(videos, new_user(), video, 5)) == "VIDEO_NOT_FOUND"
    assert await count(videos, video) == 0


async def test_without_valkey_nobody_is_counted(videos: Videos) -> None:
    async with open_redis("redis://127.0.0.1:1") as away:
        assert not await views.is_first(away, views.ViewKey(1, 2))
        await views.forget(away, [views.ViewKey(1, 2)])


async def test_a_view_that_could_not_be_written_may_come_again(videos: Videos) -> None:
    video, viewer = (await publish(videos, new_user())).video_id, new_user()
    async with videos.service.database.transaction() as connection:
        await connection.execute(text(f"SELECT FROM video WHERE id = {video} FOR UPDATE"))
        assert await refusal(view(videos, viewer, video, 5)) != ""
        await asyncio.sleep(0.3)  # the statement waits for its lock as long as the caller waits for the answer
    assert await videos.service.redis.get(f"viewed:{video}:{viewer}") is None
    assert await view(videos, viewer, video, 5)
