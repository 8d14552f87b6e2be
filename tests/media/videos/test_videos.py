"""Publishing, changing and deleting videos, and the files that they show."""

import asyncio
import re
from typing import Any

import pytest

from protos.media.v1 import videos_pb2 as pb
from tests.support import videos as v
from tests.support.plans import watching
from tests.support.social import act, new_user, new_users, refusal
from tests.support.videos import Videos, a_file, befriend, change, delete, get, publish, references, verbs_of

PUBLIC, FRIENDS, PRIVATE = range(3)


async def test_publish(videos: Videos) -> None:
    owner = new_user()
    made = await publish(videos, owner, title=" 标题 ", description="描述", cover_url="https://example.com/c.jpg")
    assert (made.owner_id, made.title, made.description, made.visibility) == (owner, "标题", "描述", pb.PUBLIC)
    assert made == await get(videos, new_user(), made.video_id)
    assert await verbs_of(videos, made.video_id) == ["video.published"]


@pytest.mark.parametrize(
    "fields",
    [
        {"title": ""},
        {"title": "  "},
        {"title": "x" * 101},
        {"title": "\0"},
        {"description": "x" * 501},
        {"type": "x" * 21},
        {"video_url": ""},
        {"video_url": "javascript:alert(1)"},
        {"video_url": "ftp://example.com/v.mp4"},
        {"video_url": "https:///v.mp4"},
        {"video_url": "https://[x/"},
        {"video_url": "https://example.com/\n"},
        {"video_url": "https://example.com/" + "x" * 2048},
        {"video_url": "/media/../etc/passwd"},
        {"cover_url": "data:image/png,x"},
    ],
)
async def test_what_is_not_published(videos: Videos, fields: dict[str, Any]) -> None:
    assert await refusal(publish(videos, new_user(), **fields)) == "VIDEO_INVALID"


async def test_the_longest_that_is(videos: Videos) -> None:
    made = await publish(videos, new_user(), title="题" * 100, description="述" * 500)
    assert (len(made.title), len(made.description)) == (100, 500)


async def test_a_file_of_ours(videos: Videos) -> None:
    owner, viewer = new_users(2)
    file, cover = await a_file(videos, owner), await a_file(videos, owner, "png", "image")
    made = await publish(videos, owner, video_url=file, cover_url=cover)
    assert (made.video_url, made.cover_url) == (file, cover)
    assert await references(videos, made.video_id) == {file[7:71]: PUBLIC, cover[7:71]: PUBLIC}
    await change(videos, owner, made.video_id, visibility=pb.FRIENDS, cover_url="https://example.com/c.jpg")
    assert await references(videos, made.video_id) == {file[7:71]: FRIENDS}
    await befriend(videos, owner, viewer)
    seen = await get(videos, viewer, made.video_id)
    assert seen
    assert seen.video_url.startswith(f"{file}?exp=")
    await delete(videos, owner, made.video_id)
    assert await references(videos, made.video_id) == {}


async def test_anothers_file_never(videos: Videos) -> None:
    """Not even one that is public (docs/contract/api.md, "Files")."""
    owner, thief = new_users(2)
    file, cover = await a_file(videos, owner), await a_file(videos, owner, "png", "image")
    await publish(videos, owner, video_url=file, cover_url=cover)
    assert await refusal(publish(videos, thief, video_url=file)) == "OBJECT_NOT_FOUND"
    assert await refusal(publish(videos, thief, cover_url=cover)) == "OBJECT_NOT_FOUND"
    own = await publish(videos, thief)
    assert await refusal(change(videos, thief, own.video_id, cover_url=cover)) == "OBJECT_NOT_FOUND"
    assert await refusal(publish(videos, thief, video_url=f"/media/{'0' * 64}.mp4")) == "OBJECT_NOT_FOUND"


async def test_what_an_update_leaves_out_stays(videos: Videos) -> None:
    owner = new_user()
    made = await publish(videos, owner, title="旧", description="x")
    await change(videos, owner, made.video_id, title="新")
    seen = await get(videos, owner, made.video_id)
    assert seen
    assert (seen.title, seen.description, seen.visibility) == ("新", "x", pb.PUBLIC)
    await change(videos, owner, made.video_id, title="新")  # nothing new to tell
    assert await verbs_of(videos, made.video_id) == ["video.published", "video.updated"]
    assert await refusal(change(videos, owner, made.video_id, title="")) == "VIDEO_INVALID"
    found = await act(owner, videos.videos.SearchVideos, pb.SearchVideosRequest(query="新", limit=50))
    assert made.video_id in [video.video_id for video in found.videos]


@pytest.mark.parametrize(
    ("before", "private", "after"), [(0, True, 2), (1, True, 2), (2, False, 0), (1, False, 1), (0, False, 0)]
)
async def test_what_old_clients_know_of_visibility(videos: Videos, before: int, private: bool, after: int) -> None:
    owner = new_user()
    made = await publish(videos, owner, before)
    await change(videos, owner, made.video_id, private=private)
    seen = await get(videos, owner, made.video_id)
    assert seen
    assert seen.visibility == after


async def test_who_may_change_and_delete(videos: Videos) -> None:
    owner, other = new_users(2)
    public, private = (await publish(videos, owner)).video_id, (await publish(videos, owner, pb.PRIVATE)).video_id
    assert await refusal(change(videos, other, public, title="x")) == "NOT_PERMITTED"
    assert await refusal(delete(videos, other, public)) == "NOT_PERMITTED"
    assert await refusal(change(videos, other, private, title="x")) == "VIDEO_NOT_FOUND"
    assert await refusal(delete(videos, other, private)) == "VIDEO_NOT_FOUND"
    await delete(videos, other, private, role=3)
    await delete(videos, owner, public)


async def test_a_deletion_may_be_repeated(videos: Videos) -> None:
    owner = new_user()
    video = (await publish(videos, owner)).video_id
    top = (await v.comment(videos, owner, video)).comment_id
    for _ in range(2):
        await delete(videos, owner, video)
    assert (await verbs_of(videos, video)).count("video.deleted") == 1
    assert await get(videos, owner, video) is None
    assert await refusal(v.comment(videos, owner, video)) == "VIDEO_NOT_FOUND"
    assert await refusal(v.get_comment(videos, owner, top)) == "COMMENT_NOT_FOUND"
    assert await refusal(v.uncomment(videos, owner, top)) == "COMMENT_NOT_FOUND"
    assert not await v.like(videos, owner, video)
    assert await refusal(delete(videos, new_user(), video)) == "VIDEO_NOT_FOUND"


@pytest.mark.parametrize("bad", [0, -1, 1, 2**63 - 1, -(2**63)])
async def test_bad_ids(videos: Videos, bad: int) -> None:
    user = new_user()
    assert await get(videos, user, bad) is None
    for call in (v.comment, v.reply, v.get_comment, v.comments_of, v.thread_of, v.uncomment, delete):
        assert await refusal(call(videos, user, bad)) in ("VIDEO_NOT_FOUND", "COMMENT_NOT_FOUND")
    assert not await v.like(videos, user, bad)
    assert not await v.like_comment(videos, user, bad)


async def test_a_new_video_with_its_counts_and_its_event_is_one_statement(videos: Videos) -> None:
    with watching(videos.service.database) as seen:
        await publish(videos, new_user())
    assert (
        len(
            [
                each
                for each in seen
                if re.search("INSERT INTO (video|shelf|tally) |UPDATE (video|shelf|tally)", each.shape.text)
            ]
        )
        == 1
    )


async def test_videos_of_one_moment_are_created_together(videos: Videos) -> None:
    owner, other = new_users(2)
    with watching(videos.service.database) as seen:
        made = await asyncio.gather(*(publish(videos, user) for user in (owner, other) * 5))
    assert [video.owner_id for video in made] == [owner, other] * 5 and len({video.video_id for video in made}) == 10
    assert len([each for each in seen if "INSERT INTO video " in each.shape.text]) < 10


async def test_too_many_at_once(videos: Videos) -> None:
    ids = list(range(1, 502))
    assert await refusal(videos.videos.BatchGetVideos(pb.BatchGetVideosRequest(video_ids=ids))) == "BATCH_TOO_LARGE"
    changes = [pb.LikeChange(user_id=id, target_id=1) for id in ids]
    assert await refusal(videos.videos.SetVideoLikes(pb.SetVideoLikesRequest(changes=changes))) == "BATCH_TOO_LARGE"
    request = pb.BatchGetAudiencesRequest(user_ids=ids)
    assert await refusal(videos.videos.BatchGetAudiences(request)) == "BATCH_TOO_LARGE"
