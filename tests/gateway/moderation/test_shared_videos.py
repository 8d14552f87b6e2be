"""Videos that messages share: each reader sees as much of them as they may at that moment."""

import asyncio
import uuid
from typing import Any

from tests.gateway.moderation.town import Town, case_of, decide, report
from tests.support import asyncapi
from tests.support import social as graph
from tests.support.people import Person
from tests.support.plans import watching
from tests.support.sockets import open_socket
from tests.support.video_people import heard, publish

API = "/api/chat"


def card_to(user: Person, video_id: object, **body: Any) -> dict[str, Any]:
    about = {"client_msg_id": str(uuid.uuid4()), "content_type": "video_card"}
    return {"to": {"user_id": user.uid}, "body": {"video_id": video_id, **body}} | about


async def share(sender: Person, user: Person, video_id: object, **body: Any) -> str:
    sent = await sender.post(API + "/send", **card_to(user, video_id, **body))
    conversation: str = sent["conversation_id"]
    return conversation


async def cards_of(reader: Person, conversation: str, **part: Any) -> list[tuple[bool, str]]:
    """Of all messages, the newest first."""
    page = await reader.get(API + "/messages", conversation_id=conversation, **part)
    return [(each["card"]["available"], each["card"]["title"]) for each in page["messages"]]


async def test_each_reader_sees_what_they_may(town: Town) -> None:
    ann, ben = await town.friends()
    (owner,) = await town.people(1)
    await graph.add(town.social, owner.id, ann.id)
    await graph.add(town.social, ann.id, owner.id)
    await heard(town.media, town.social, owner.id, ann.id)
    shown, for_friends = await publish(owner, title="shown"), await publish(owner, title="inner", visibility="friends")
    id = await share(ann, ben, shown["id"], text="look", title="forged")
    await share(ann, ben, int(for_friends["id"]))
    assert await cards_of(ann, id) == [(True, "inner"), (True, "shown")]
    assert await cards_of(ben, id) == [(False, ""), (True, "shown")]
    (_, first) = (await ben.get(API + "/messages", conversation_id=id))["messages"]
    assert first["body"] == {"video_id": shown["id"], "text": "look"}
    assert (first["card"]["user_id"], first["card"]["video_id"]) == (owner.uid, shown["id"])
    assert (await owner.get("/api/videos/get-video", id=shown["id"]))["video"]["shares"] == "1"
    (found,) = (await ben.get(API + "/search", text="look", conversation_id=id))["messages"]
    assert found["card"] == first["card"]
    await owner.post("/api/contact/block", target_id=ben.uid)
    await heard(town.media, town.social, owner.id, ben.id)
    assert await cards_of(ben, id) == [(False, ""), (False, "")]
    assert await cards_of(ann, id) == [(True, "inner"), (True, "shown")]
    await owner.post("/api/videos/update-video", video_id=shown["id"], is_private=True)
    assert await cards_of(ann, id) == [(True, "inner"), (False, "")]
    await owner.post("/api/videos/delete-video", video_id=for_friends["id"])
    assert await cards_of(ann, id) == [(False, ""), (False, "")]


async def test_a_card_over_a_socket(town: Town) -> None:
    ann, ben = await town.friends()
    video = await publish(ann, title="film")
    async with open_socket(town.url, str(ann.token)) as first, open_socket(town.url, str(ben.token)) as second:
        sent = await first.ask("send", **card_to(ben, video["id"]))
        told = await second.event("message", rev=1)
        assert (told["content_type"], told["body"], "card" in told) == ("video_card", {"video_id": video["id"]}, False)
        asyncapi.check({"type": "message", "data": told})
        (card, gone) = (await second.ask("cards", video_ids=[video["id"], "1"]))["cards"]
        assert (card["title"], card["available"], gone["available"]) == ("film", True, False)
        page = await second.ask("history", conversation_id=sent["conversation_id"])
        assert page["messages"][0]["card"] == card
    assert (await ben.get(API + "/cards", video_ids=video["id"]))["cards"] == [card]
    await town.visitor.refused("GET", API + "/cards", 401, -20001, params={"video_ids": video["id"]})


async def test_what_is_not_shared(town: Town) -> None:
    ann, ben = await town.friends()
    hidden = await publish(ben, visibility="private")
    for video_id, status, code in (
        (hidden["id"], 404, 10017),
        ("12", 404, 10017),
        ("x", 400, 10001),
        ("0", 400, 10001),
        ("9" * 30, 400, 10001),
        (True, 400, 10001),
        (None, 400, 10001),
    ):
        await ann.refused("POST", API + "/send", status, code, json=card_to(ben, video_id))
    assert {each["last_seq"] for each in (await ann.get(API + "/conversations"))["conversations"]} <= {0}


async def test_what_a_moderator_hides_is_a_tombstone(town: Town) -> None:
    ann, ben = await town.friends()
    (owner,) = await town.people(1)
    video = await publish(owner, title="bad")
    id = await share(ann, ben, video["id"])
    await report(ben, "video", id=video["id"])
    moderator = await town.moderator()
    await decide(moderator, await case_of(moderator, owner), "hide")
    async with asyncio.timeout(20):
        while await cards_of(ben, id) != [(False, "")]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_page_of_cards_asks_once(town: Town) -> None:
    ann, ben = await town.friends()
    videos = [await publish(ann, title=str(number), visibility="friends") for number in range(10)]
    await heard(town.media, town.social, ann.id, ben.id)
    for number in range(20):
        id = await share(ann, ben, videos[number % 10]["id"])
    with watching(town.media.service.database) as seen:
        assert len({title for available, title in await cards_of(ben, id, limit=50) if available}) == 10
    assert len(seen) <= 3  # whom the reader sees, the shared ones, the others
