"""What a viewer muted is hidden in feeds, searches and comments, for them alone, though pages are cached for all."""

import secrets

import pytest

from protos.social.v1.mutes_pb2 import MuteUserRequest
from tests.support.chat import until
from tests.support.gateway import FrontEnd, RunningGateway
from tests.support.people import Person, counting_calls, new_people
from tests.support.social import Running as Social
from tests.support.social import act
from tests.support.user import Running as Users
from tests.support.video_people import comment, publish

API, CONTACT = "/api/videos", "/api/contact"


@pytest.fixture
async def people(video_gateway: RunningGateway, user: Users) -> list[Person]:
    """The viewer, two authors, and somebody who muted nothing."""
    return await new_people(FrontEnd(video_gateway.http), user, 4)


def mark() -> str:
    """A word that no other test uses."""
    return "w" + secrets.token_hex(6)


async def feed(person: Person, **params: object) -> list[str]:
    return [video["id"] for video in (await person.get(API, page_size=50, **params))["data"]]


async def comments(person: Person, video: str, **params: object) -> list[str]:
    page = await person.get(f"{API}/get-comments", id=video, is_video="true", **params)
    assert page["length"] == str(len(page["comments"]))
    return [each["id"] for each in page["comments"]]


async def test_a_muted_users_videos_are_in_no_feed(people: list[Person]) -> None:
    me, muted, other, witness = people
    word = mark()
    theirs = (await publish(muted, title=f"{word} one"))["id"]
    others = (await publish(other, title=f"{word} two"))["id"]
    assert {theirs, others} <= set(await feed(me))
    await me.post(f"{CONTACT}/mute", target_id=muted.uid)
    for order in ("latest", "popular"):
        assert theirs not in await feed(me, order_by=order)
    assert others in await feed(me) and theirs in await feed(witness) and theirs in await feed(muted)
    found = (await me.get(f"{API}/search-videos", query=word))["data"]
    assert [video["id"] for video in found] == [others]
    own = (await me.get(f"{API}/user-videos", user_id=muted.uid))["data"]
    assert [video["id"] for video in own] == [theirs]  # who looks there wants to see it
    assert [each["id"] for each in (await me.get(f"{CONTACT}/get-mute-list"))["users"]] == [muted.uid]
    await me.post(f"{CONTACT}/unmute", target_id=muted.uid)
    assert theirs in await feed(me)


async def test_a_muted_word_hides_what_others_write(people: list[Person]) -> None:
    me, author, _, witness = people
    word = mark()
    titled = (await publish(author, title=f"{word.upper()}!"))["id"]
    told = (await publish(author, title="x", description=f"({word})"))["id"]
    longer = (await publish(author, title=f"{word}s"))["id"]
    mine = (await publish(me, title=word))["id"]
    await me.post(f"{CONTACT}/mute-word", word=word)
    shown = await feed(me)
    assert titled not in shown and told not in shown and {longer, mine} <= set(shown)
    assert {titled, told, mine} <= set(await feed(witness))
    assert (await me.get(f"{CONTACT}/get-muted-words")) == {"words": [word]}
    await me.post(f"{CONTACT}/unmute-word", word=word)
    assert titled in await feed(me)


@pytest.mark.parametrize("params", [{}, {"page_size": 3}, {"order_by": "popular"}])
async def test_comments_too(people: list[Person], params: dict[str, object]) -> None:
    me, muted, other, witness = people
    video = (await publish(other))["id"]
    theirs = await comment(muted, video, "hello")
    worded = await comment(other, video, {"text": "什么剧透啊", "n": [1]})
    mine = await comment(me, video, "剧透")
    await me.post(f"{CONTACT}/mute", target_id=muted.uid)
    await me.post(f"{CONTACT}/mute-word", word="剧透")
    assert await comments(me, video, **params) == [mine]
    assert set(await comments(witness, video, **params)) == {theirs, worded, mine}
    assert set(await comments(muted, video, **params)) == {theirs, worded, mine}, "they do not know"


async def test_a_mute_costs_one_call_that_later_pages_share(
    video_gateway: RunningGateway, people: list[Person]
) -> None:
    me, muted, _, _ = people
    await me.post(f"{CONTACT}/mute", target_id=muted.uid)
    with counting_calls() as calls:
        for _ in range(5):
            await feed(me)
    assert calls["hitok.social.v1.Mutes"] <= 2, calls  # the event of the mute drops it once more


async def test_a_mute_by_another_gateway_is_heard_of(people: list[Person], social: Social) -> None:
    """Long before what this one keeps expires."""
    me, muted, _, _ = people
    theirs = (await publish(muted))["id"]
    assert theirs in await feed(me)
    await act(me.id, social.mutes.MuteUser, MuteUserRequest(user_id=muted.id))

    async def hidden() -> bool:
        return theirs not in await feed(me)

    await until(hidden)


async def test_mistakes(people: list[Person], video_gateway: RunningGateway) -> None:
    me, other, _, _ = people
    await me.refused("POST", f"{CONTACT}/mute", 400, 10067, json={"target_id": me.uid})
    await me.refused("POST", f"{CONTACT}/mute", 404, 10011, json={"target_id": "7"})
    await me.refused("POST", f"{CONTACT}/mute-word", 400, 10001, json={"word": "x" * 51})
    await me.refused("POST", f"{CONTACT}/mute-word", 400, 10002, json={"word": ""})
    visitor = FrontEnd(video_gateway.http)
    for path in ("mute", "unmute"):
        await visitor.refused("POST", f"{CONTACT}/{path}", 401, -20001, json={"target_id": other.uid})
