"""api/saved/*: for each kind of caller and visibility, and as a user who keeps a list sees it."""

from tests.gateway.api.test_videos import BETWEEN, SEES
from tests.support.gateway import FrontEnd, RunningGateway
from tests.support.social import Running as Social
from tests.support.user import Running as Users
from tests.support.video_people import VISIBILITIES, new_video_world
from tests.support.videos import Videos

API = "/api/saved"


async def test_each_kind_of_caller(video_gateway: RunningGateway, user: Users, social: Social, media: Videos) -> None:
    world = await new_video_world(FrontEnd(video_gateway.http), user, social, media)
    for kind in ("blocked", "stranger", *BETWEEN, "friend", "owner", "admin"):
        caller = world.front_end(kind)
        shown = [visibility for visibility in VISIBILITIES if kind in SEES[visibility]]
        for visibility in VISIBILITIES:
            body = {"video_id": world.videos[visibility]}
            if visibility in shown:
                assert await caller.post(API + "/save-video", **body) == {}
            else:
                await caller.refused("POST", API + "/save-video", 404, 10017, json=body)
        ids = [video["id"] for video in (await caller.get(API + "/videos", page_size=50))["data"]]
        assert ids == [world.videos[visibility] for visibility in reversed(shown)]
    for method, path in (("GET", "/videos"), ("GET", "/state"), ("GET", "/collections"), ("POST", "/save-video")):
        answer = await world.visitor.call(method, API + path)
        assert (answer.status_code, answer.json()["code"]) == (401, -20001)
    me, other, video_id = world.friend, world.stranger, world.videos["public"]
    made = await me.post(API + "/create-collection", name="food")
    assert made == {"collection_id": made["collection_id"], "name": "food", "video_count": "0"}
    await me.post(API + "/save-video", video_id=video_id, collection_id=made["collection_id"])
    renamed = await me.post(API + "/rename-collection", collection_id=made["collection_id"], name="eat")
    assert await me.get(API + "/collections") == {"collections": [renamed | {"video_count": "1"}], "saved_count": "2"}
    inside = await me.get(API + "/videos", collection_id=made["collection_id"])
    assert [video["id"] for video in inside["data"]] == [video_id]
    await other.refused("GET", API + "/videos", 404, 10111, params={"collection_id": made["collection_id"]})
    await other.post(API + "/delete-collection", collection_id=made["collection_id"])
    await me.post(API + "/delete-collection", collection_id=made["collection_id"])
    await me.post(API + "/unsave-video", video_id=world.videos["friends"])
    assert await me.get(API + "/state", video_ids=list(world.videos.values())) == {"video_ids": [video_id]}
