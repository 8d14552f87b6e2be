"""Tags and mentions over HTTP: for each kind of caller, where they are in texts, and who hears of a mention."""

from typing import Any

import pytest

from tests.gateway.api.test_videos import BETWEEN
from tests.support import social as graph
from tests.support.gateway import FrontEnd, RunningGateway
from tests.support.people import Person, new_people
from tests.support.social import Running as Social
from tests.support.user import Running as Users
from tests.support.video_people import VISIBILITIES, comment, new_video_world, publish
from tests.support.videos import Videos

API = "/api/tags"
SHOWN = {
    "public": {"stranger", *BETWEEN, "friend", "owner", "admin"} - {"muting"},
    "friends": {"friend", "owner"},
    "private": {"owner"},
}


async def test_each_kind_of_caller(video_gateway: RunningGateway, user: Users, social: Social, media: Videos) -> None:
    world = await new_video_world(FrontEnd(video_gateway.http), user, social, media)
    tag = f"world{world.owner.id}"
    for video_id in world.videos.values():
        await world.owner.post("/api/videos/update-video", video_id=video_id, title=f"#{tag.upper()}")
    for kind in ("blocked", "stranger", *BETWEEN, "friend", "owner", "admin"):
        page = await world.front_end(kind).get(API + "/videos", tag=tag, page_size=50)
        ids = {video["id"] for video in page["data"]}
        assert page["total"] == "1"
        for visibility in VISIBILITIES:
            assert (world.videos[visibility] in ids) is (kind in SHOWN[visibility]), (kind, visibility)
    owner = world.owner
    assert (await owner.get(API + "/suggest", query=f"#{tag[:-2]}"))["tags"][0] == {"tag": tag, "video_count": "1"}
    assert len((await owner.get(API + "/trending", limit=1))["tags"]) == 1
    await owner.post("/api/contact/mute-word", word=tag)
    assert (await owner.get(API + "/suggest", query=tag))["tags"] == []
    for path, params in (("/videos", {"tag": tag}), ("/suggest", {"query": "a"}), ("/trending", {})):
        answer = await world.visitor.call("GET", API + path, params=params)
        assert (answer.status_code, answer.json()["code"]) == (401, -20001)


@pytest.fixture
async def people(video_gateway: RunningGateway, user: Users) -> list[Person]:
    return await new_people(FrontEnd(video_gateway.http), user, 3)


def mention_of(person: Person, offset: int) -> dict[str, Any]:
    return {"kind": "mention", "offset": offset, "length": len(person.name) + 1, "tag": "", "user_id": person.uid}


async def test_where_tags_and_mentions_are(people: list[Person], media: Videos) -> None:
    owner, other, _ = people
    made = await publish(owner, title="👍🏽 #Sea", description=f"看@{other.name} @{other.name}x and #2")
    assert made["title_entities"] == [{"kind": "tag", "offset": 3, "length": 4, "tag": "sea", "user_id": ""}]
    assert made["description_entities"] == [mention_of(other, 1)]
    for content in (f"@{owner.name} #a", {"text": f"@{owner.name} #a"}):
        await comment(other, made["id"], content)
        page = await owner.get("/api/videos/get-comments", id=made["id"], is_video="true")
        after = len(owner.name) + 2
        tag = {"kind": "tag", "offset": after, "length": 2, "tag": "a", "user_id": ""}
        assert page["comments"][0]["entities"] == [mention_of(owner, 0), tag]
    await comment(other, made["id"], {"emoji": "#a"})
    assert (await owner.get("/api/videos/get-comments", id=made["id"], is_video="true"))["comments"][0][
        "entities"
    ] == []


@pytest.mark.parametrize(("setting", "may"), [("everyone", "fs"), ("friends", "f"), ("nobody", "")])
async def test_who_may_mention_a_user(
    people: list[Person], social: Social, media: Videos, setting: str, may: str
) -> None:
    person, friend, stranger = people
    for a, b in ((person, friend), (friend, person)):
        await graph.add(social, a.id, b.id)
    await person.post("/api/contact/set-settings", who_may_mention=setting)
    assert (await person.get("/api/contact/get-settings"))["who_may_mention"] == setting
    for writer, kind in ((friend, "f"), (stranger, "s"), (person, "")):
        made = await publish(writer, title=f"@{person.name}")
        is_linked = writer is person or kind in may
        assert made["title_entities"] == ([mention_of(person, 0)] if is_linked else [])


async def test_nobody_is_mentioned_across_a_block(people: list[Person], social: Social, media: Videos) -> None:
    person, blocked, _ = people
    await graph.block(social, person.id, blocked.id)
    assert (await publish(blocked, title=f"@{person.name}"))["title_entities"] == []
    assert (await publish(person, title=f"@{blocked.name}"))["title_entities"] == []
