"""What moderators hide leaves every list, page, byte and cache within 2 s, and comes back when they take it back.

Each wait ends with an event, not with a time: the gateway's caches stand still, so only the events empty them.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.gateway.moderation.test_reporting import say
from tests.gateway.moderation.town import Town, case_of, decide, report
from tests.support import social as graph
from tests.support.clock import stopped
from tests.support.people import Person
from tests.support.sockets import open_socket
from tests.support.user import execute
from tests.support.video_people import comment, publish, upload


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Asks until it holds; the machine of the tests may be busy, so longer than 2 s."""
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@contextmanager
def standing_still(town: Town) -> Iterator[None]:
    with ExitStack() as stack:
        for cache in (*town.gateway.video_cache.caches.values(), town.gateway.files):
            stack.enter_context(stopped(cache))
        yield


async def status(front: Any, url: str) -> int:
    return int((await front.http.get(url)).status_code)


async def shows(viewer: Person, video_id: str) -> bool:
    """Whether the latest videos, the popular ones or the search have it, or its own page."""
    lists = [
        (await viewer.get("/api/videos", page_size=50))["data"],
        (await viewer.get("/api/videos", page_size=50, order_by="popular"))["data"],
        (await viewer.get("/api/videos/search-videos", query="fright", page_size=50))["data"],
    ]
    page = await viewer.call("GET", "/api/videos/get-video", params={"video_id": video_id})
    return page.status_code == 200 or any(video_id == video["id"] for videos in lists for video in videos)


async def test_a_hidden_video_leaves_lists_search_bytes_and_caches(town: Town) -> None:
    owner, viewer = await town.people(2)
    moderator = await town.moderator()
    url = await upload(owner, town.media)
    video = await publish(owner, title="fright", video_path=url)
    await report(viewer, "video", id=video["id"])
    assert await shows(viewer, video["id"]) and await status(viewer, video["video_url"]) == 200
    with standing_still(town):
        act = await decide(moderator, await case_of(moderator, owner), "hide", note="frightens")

        async def is_gone() -> bool:
            return not await shows(viewer, video["id"]) and await status(viewer, video["video_url"]) == 404

        await until(is_gone)
        assert await shows(owner, video["id"]) is False
        shown = (await moderator.get("/api/videos/get-video", video_id=video["id"]))["video"]
        assert await status(moderator, shown["video_url"]) == 200, "a moderator can look at it"
        taken = await moderator.post("/api/moderation/reverse-act", act_id=act["act_id"], note="harmless")
        assert (taken["reversed_by"], taken["reversal_note"]) == (moderator.uid, "harmless")

        async def is_back() -> bool:
            return await shows(viewer, video["id"]) and await status(viewer, video["video_url"]) == 200

        await until(is_back)


async def test_a_hidden_comment_leaves_the_page_and_its_cache(town: Town) -> None:
    owner, author, viewer = await town.people(3)
    moderator = await town.moderator()
    video = await publish(owner)
    comment_id = await comment(author, video["id"], "vile")

    async def has_it() -> bool:
        query = {"id": video["id"], "is_video": "true"}
        page = await viewer.get("/api/videos/get-comments", **query)
        return comment_id in [each["id"] for each in page["comments"]]

    async def has_it_not() -> bool:
        return not await has_it()

    await report(viewer, "comment", id=comment_id)
    assert await has_it()
    with standing_still(town):
        act = await decide(moderator, await case_of(moderator, author), "hide")
        await until(has_it_not)
        await moderator.post("/api/moderation/reverse-act", act_id=act["act_id"])
        await until(has_it)


async def test_what_is_removed_does_not_come_back(town: Town) -> None:
    owner, viewer = await town.people(2)
    moderator = await town.moderator()
    video = await publish(owner, title="fright", video_path=await upload(owner, town.media))
    await report(viewer, "video", id=video["id"])
    act = await decide(moderator, await case_of(moderator, owner), "remove")

    async def is_gone() -> bool:
        return not await shows(viewer, video["id"]) and await status(viewer, video["video_url"]) == 404

    await until(is_gone)
    body = {"act_id": act["act_id"]}
    await moderator.refused("POST", "/api/moderation/reverse-act", 409, 10085, json=body)
    await moderator.refused("POST", "/api/moderation/reverse-act", 404, 10084, json={"act_id": "1"})
    await viewer.refused("POST", "/api/moderation/reverse-act", 403, -20008, json=body)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_what_two_moderators_hid_is_hidden_until_both_take_it_back(town: Town, order: tuple[int, int]) -> None:
    owner, viewer = await town.people(2)
    moderator = await town.moderator()
    video = await publish(owner, title="fright")
    acts: list[dict[str, Any]] = []
    for reason in ("spam", "hate"):
        if acts:  # a moderator reports what they alone see
            await report(moderator, "video", reason, id=video["id"])
        else:
            await report(viewer, "video", reason, id=video["id"])
        acts.append(await decide(moderator, await case_of(moderator, owner), "hide"))
    ids = [acts[place]["act_id"] for place in order]
    await moderator.post("/api/moderation/reverse-act", act_id=ids[0])
    told = await moderator.get("/api/moderation/acts", owner_id=owner.uid)
    assert [bool(act["reversed_at"]) for act in told["acts"] if act["act_id"] == ids[0]] == [True]
    query = "SELECT subject FROM outbox WHERE data ->> 'subject_id' = :id AND subject LIKE '%.restored'"
    assert not await execute(town.user, query, id=video["id"])
    await moderator.post("/api/moderation/reverse-act", act_id=ids[1])
    await moderator.post("/api/moderation/reverse-act", act_id=ids[1])

    async def is_back() -> bool:
        return await shows(viewer, video["id"])

    await until(is_back)


async def test_a_hidden_message_leaves_open_sockets_and_history(town: Town) -> None:
    a, b = await town.friends()
    moderator = await town.moderator()
    async with open_socket(town.url, b.token) as socket:
        sent = await say(a, "a threat", user_id=b.id)
        name = {"conversation_id": sent["conversation_id"], "seq": sent["seq"]}
        await report(b, "message", **name)
        act = await decide(moderator, await case_of(moderator, a), "hide")
        gone = await socket.event("message.recalled", **name)
        assert gone["body"] is None
        page = await a.get("/api/chat/messages", conversation_id=sent["conversation_id"])
        assert [message["body"] for message in page["messages"]] == [None]
        await moderator.post("/api/moderation/reverse-act", act_id=act["act_id"])
        assert (await socket.event("message.updated", **name))["body"] == {"text": "a threat"}


async def test_a_hidden_profile_shows_a_plain_name_and_is_not_found(town: Town) -> None:
    owner, viewer = await town.people(2)
    moderator = await town.moderator()
    await owner.post("/api/user/set-profile", bio="vile")

    async def is_plain() -> bool:
        seen = await viewer.get("/api/user/get-user-info", id=owner.uid)
        found = (await viewer.get("/api/contact/search-users", query=owner.name))["users"]
        return (seen["username"], seen["bio"], found) == (f"user{owner.id}", "", [])

    async def is_shown() -> bool:
        seen = await viewer.get("/api/user/get-user-info", id=owner.uid)
        return bool((seen["username"], seen["bio"]) == (owner.name, "vile"))

    assert await is_shown()
    await report(viewer, "user", id=owner.uid)
    with stopped(town.gateway.cards):
        act = await decide(moderator, await case_of(moderator, owner), "hide")
        await until(is_plain)
        assert (await owner.get("/api/user/get-my-info"))["bio"] == "vile"
        await moderator.post("/api/moderation/reverse-act", act_id=act["act_id"])
        await until(is_shown)
    await report(viewer, "user", id=owner.uid)
    await decide(moderator, await case_of(moderator, owner), "remove")
    mine = await owner.get("/api/user/get-my-info")
    assert mine["bio"] == "" and mine["username"].startswith(f"user{owner.id}-")


async def test_a_hidden_group_is_found_and_written_to_by_nobody(town: Town) -> None:
    owner, member = await town.people(2)
    moderator = await town.moderator()
    group = await graph.group_with(town.social, owner.id, member.id)
    sent = await say(owner, "pills", group_id=group)
    await report(member, "group", id=str(group))
    act = await decide(moderator, await case_of(moderator, owner), "hide")
    body = {"to": {"group_id": str(group)}, "content_type": "text", "body": {"text": "more"}}

    async def try_to_write() -> int:
        key = {"client_msg_id": str(uuid.uuid4())}
        return (await owner.call("POST", "/api/chat/send", json=body | key)).status_code

    async def is_shut() -> bool:
        return await try_to_write() == 403

    async def is_open() -> bool:
        return await try_to_write() == 200

    await until(is_shut)
    create = {"kind": "group", "id": str(group), "reason": "spam"}
    await member.refused("POST", "/api/report/create-report", 404, 10019, json=create)
    await moderator.post("/api/moderation/reverse-act", act_id=act["act_id"])
    await until(is_open)
    assert sent["seq"] == 1
