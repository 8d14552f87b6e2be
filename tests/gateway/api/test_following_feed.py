"""The feed of those whom the caller follows, over HTTP, for each kind of caller and visibility."""

from tests.gateway.api.test_videos import BETWEEN
from tests.support.chat import until
from tests.support.gateway import FrontEnd, RunningGateway
from tests.support.social import Running as Social
from tests.support.user import Running as Users
from tests.support.video_people import VISIBILITIES, new_video_world
from tests.support.videos import Videos, execute

API = "/api/videos"
SHOWN = {"public": {"stranger", *BETWEEN, "friend", "admin"} - {"muting"}, "friends": {"friend"}, "private": set()}


async def test_each_kind_of_caller(video_gateway: RunningGateway, user: Users, social: Social, media: Videos) -> None:
    world = await new_video_world(FrontEnd(video_gateway.http), user, social, media)
    owner = world.owner
    kinds = ("blocked", "stranger", *BETWEEN, "friend", "admin")
    for kind in kinds:
        await world.front_end(kind).post("/api/contact/follow", target_id=owner.uid)

    async def all_are_known() -> bool:
        query = "SELECT count(*) AS n FROM standing WHERE peer_id = :id AND follows"
        return bool((await execute(media, query, id=owner.id))[0].n == len(kinds) - 1)  # all but the blocked

    await until(all_are_known)
    for kind in kinds:
        page = await world.front_end(kind).get(API + "/following-videos", page_size=50)
        ids = {video["id"] for video in page["data"]}
        for visibility in VISIBILITIES:
            assert (world.videos[visibility] in ids) is (kind in SHOWN[visibility]), (kind, visibility)
        assert page["seen_id"] == "0"
    assert (await owner.get(API + "/following-videos"))["data"] == []
    by_pages = [await world.front_end("friend").get(API + "/following-videos", page_size=1, page=n) for n in (1, 2)]
    assert [video["id"] for page in by_pages for video in page["data"]] == sorted(
        (world.videos[visibility] for visibility in ("public", "friends")), key=int, reverse=True
    )
    friend = world.front_end("friend")
    assert (await friend.get(API + "/following-unseen")) == {"count": 2, "more": False}
    await friend.post(API + "/mark-following-seen", video_id=max(map(int, world.videos.values())))
    assert (await friend.get(API + "/following-unseen"))["count"] == 0
    for method, name in (("GET", "following-videos"), ("GET", "following-unseen"), ("POST", "mark-following-seen")):
        answer = await world.visitor.call(method, f"{API}/{name}")
        assert (answer.status_code, answer.json()["code"]) == (401, -20001)
