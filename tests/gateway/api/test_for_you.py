"""The feed made for the caller, over HTTP: for each kind of caller and visibility, and what they set of it."""

import pytest

from tests.gateway.api.test_videos import BETWEEN, FOR_YOU_ROUTES
from tests.support.gateway import FrontEnd, RunningGateway, refusal_of
from tests.support.social import Running as Social
from tests.support.user import Running as Users
from tests.support.video_people import VISIBILITIES, VideoWorld, new_video_world
from tests.support.videos import Videos

API = "/api/videos"
SHOWN = {"stranger", *BETWEEN, "friend", "admin"} - {"muting"}  # a public video


@pytest.fixture(scope="module")
async def world(video_gateway: RunningGateway, user: Users, social: Social, media: Videos) -> VideoWorld:
    return await new_video_world(FrontEnd(video_gateway.http), user, social, media)


async def feed_of(person: FrontEnd) -> dict[str, str]:
    """By video why it is there; all pages."""
    found: dict[str, str] = {}
    cursor = ""
    while True:
        page = await person.get(API + "/for-you", page_size=50, cursor=cursor)
        ids = [video["id"] for video in page["data"]]
        assert len(ids) == len(page["whys"]) and found.keys().isdisjoint(ids)
        found |= dict(zip(ids, page["whys"], strict=True))
        cursor = page["next_cursor"]
        assert page["has_more"] is bool(cursor)
        if not cursor:
            return found


async def test_each_kind_of_caller_gets_public_videos_only(world: VideoWorld) -> None:
    for kind in ("blocked", "stranger", *BETWEEN, "friend", "admin", "owner"):
        found = await feed_of(world.front_end(kind))
        for visibility in VISIBILITIES:
            is_shown = visibility == "public" and kind in SHOWN
            assert (world.videos[visibility] in found) is is_shown, (kind, visibility)


async def test_visitors_have_no_feed(world: VideoWorld) -> None:
    for path in FOR_YOU_ROUTES:
        answer = await world.visitor.call(*path.split())
        assert (answer.status_code, answer.json()["code"]) == (401, -20001)


async def test_what_is_watched_or_kept_out_is_gone_at_once(world: VideoWorld) -> None:
    stranger, video = world.front_end("stranger"), world.videos["public"]
    assert video in await feed_of(stranger)
    author = world.owner.uid
    for subject in ({"video_id": video}, {"author_id": author}):
        await stranger.post(API + "/not-interested", **subject)
        assert video not in await feed_of(stranger)
        assert (await stranger.get(API + "/for-you-why", video_id=video))["kept_out"]
        await stranger.post(API + "/not-interested", **subject, undone=True)
        assert video in await feed_of(stranger)
    await stranger.post(API + "/not-interested", tag="#Cars")
    (kept,) = (await stranger.get(API + "/kept-out"))["data"]
    assert (kept["tag"], kept["video_id"], kept["author_id"]) == ("cars", "0", "0")
    await stranger.post(API + "/view-video", video_id=video, watched_seconds=0.5)
    assert video not in await feed_of(stranger)
    why = await stranger.get(API + "/for-you-why", video_id=video)
    assert why["seen"] and {part["name"] for part in why["parts"]} >= {"near", "tags", "author", "followed"}
    await stranger.post(API + "/reset-for-you")
    assert video in await feed_of(stranger)
    assert (await stranger.get(API + "/kept-out"))["data"] == []


async def test_the_order_of_time_is_a_setting(world: VideoWorld) -> None:
    stranger = world.front_end("stranger")
    assert await stranger.get(API + "/for-you-settings") == {"chronological": False}
    await stranger.post(API + "/set-for-you-settings", chronological=True)
    page, latest = await stranger.get(API + "/for-you"), await stranger.get(API)
    assert [video["id"] for video in page["data"]] == [video["id"] for video in latest["data"]]
    assert set(page["whys"]) == {"latest"}
    await stranger.post(API + "/set-for-you-settings", chronological=False)
    assert set((await stranger.get(API + "/for-you"))["whys"]).isdisjoint({"latest"})


@pytest.mark.parametrize(
    "subject", [{}, {"video_id": "1"}, {"author_id": "1"}, {"tag": "no tag"}, {"tag": "a", "author_id": "1"}]
)
async def test_a_subject_has_to_be_one_that_there_is(world: VideoWorld, subject: dict[str, str]) -> None:
    answer = await world.front_end("stranger").call("POST", API + "/not-interested", json=subject)
    status, _ = refusal_of(API + "/not-interested", answer)
    assert status in (400, 404)


async def test_explanations_are_of_what_one_may_see(world: VideoWorld) -> None:
    answer = await world.front_end("stranger").call(
        "GET", API + "/for-you-why", params={"video_id": world.videos["private"]}
    )
    assert answer.status_code == 404
