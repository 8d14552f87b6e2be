"""api/videos/*comment*: the document's fields and words. Who may: test_videos.py."""

from typing import Any

import pytest

from tests.support.gateway import FrontEnd, RunningGateway
from tests.support.people import Person, new_person
from tests.support.user import Running as Users
from tests.support.video_people import comment, publish

API = "/api/videos"
VIDEO = {"video_path": "https://example.com/v.mp4", "title": "x"}


@pytest.fixture(scope="module")
async def alice(video_gateway: RunningGateway, user: Users) -> Person:
    return await new_person(FrontEnd(video_gateway.http), user)


@pytest.fixture(scope="module")
async def bob(video_gateway: RunningGateway, user: Users) -> Person:
    return await new_person(FrontEnd(video_gateway.http), user)


async def test_both_halves_of_the_document(alice: Person, bob: Person) -> None:
    video = (await publish(alice))["id"]
    top = await comment(bob, video, "很棒")
    shown = (await alice.get(f"{API}/get-comment-all", comment_id=top))["comment"]
    assert (await alice.get(f"{API}/get-comment-all", id=top))["comment"] == shown
    assert (shown["id"], shown["father_id"], shown["video_id"], shown["content"]) == (top, top, video, "很棒")
    assert (shown["user_id"], shown["owner_id"], shown["reply_to_id"]) == (bob.uid, alice.uid, "0")
    assert shown["likes"] == shown["like_count"] == shown["comments"] == "0"
    assert (len(shown["CreatedTime"]), len(shown["created_at"])) == (13, 10)
    assert {"UpdatedTime", "updated_at"} <= set(shown)


async def test_a_thread(alice: Person, bob: Person) -> None:
    video = (await publish(alice))["id"]
    top = await comment(bob, video)
    assert await alice.post(f"{API}/comment-comments", father_id=top, content="谢谢") == {}
    answer = (await bob.get(f"{API}/get-comments", id=top, is_video="false"))["comments"][0]
    assert await bob.post(f"{API}/comment-comments", father_id=answer["id"], content="再见") == {}
    thread = await bob.get(f"{API}/get-comments", id=top, is_video="false")
    assert [c["content"] for c in thread["comments"]] == ["再见", "谢谢", "hi"]
    assert {c["father_id"] for c in thread["comments"]} == {top}
    assert thread["length"] == "3"
    assert (await bob.get(f"{API}/get-comments", id=video, is_video="true"))["length"] == "1"
    assert await bob.get(f"{API}/get-comment-member", id=video, is_video="true") == {"member": "3"}
    assert await bob.get(f"{API}/get-comment-member", id=top, is_video="false") == {"member": "2"}
    assert await alice.post(f"{API}/delete-comment", comment_id=top) == {}  # her video
    assert await bob.get(f"{API}/get-comment-member", id=video, is_video="true") == {"member": "0"}
    assert (await bob.get(f"{API}/get-comments", id=video, is_video="true"))["comments"] == []


@pytest.mark.parametrize(
    "content", ["x", {"b": 1, "a": [None, 1.5]}, [], 0, None, False, "", 2**64 - 1, -(2**63), 2**70]
)
async def test_any_json_comes_back(alice: Person, content: Any) -> None:
    video = (await publish(alice))["id"]
    top = await comment(alice, video, content)
    shown = (await alice.get(f"{API}/get-comment-all", id=top))["comment"]["content"]
    assert (shown, type(shown)) == (content, type(content))


async def test_what_is_no_comment(alice: Person) -> None:
    video = (await publish(alice))["id"]
    body = {"video_id": video}
    await alice.refused("POST", f"{API}/comment-video", 400, 10004, json=body)
    for content in ("x" * 8191, ["x" * 9000], "\0"):
        await alice.refused("POST", f"{API}/comment-video", 400, 10001, json=body | {"content": content})
    await alice.refused("POST", f"{API}/like-comments", 400, 10004, json={})
    for nothing in ({"video_id": "12", "content": 1}, {"video_id": str(2**63 - 1), "content": 1}):
        await alice.refused("POST", f"{API}/comment-video", 404, 10017, json=nothing)


async def test_orders_and_places(alice: Person, bob: Person) -> None:
    video = (await publish(alice))["id"]
    ids = [await comment(bob, video, n) for n in range(6)][::-1]

    async def listed(**params: Any) -> list[str]:
        page = await alice.get(f"{API}/get-comments", id=video, is_video="true", **params)
        assert page["length"] == str(len(page["comments"]))
        return [c["id"] for c in page["comments"]]

    assert await listed() == ids
    assert await listed(before_id=ids[2]) == ids[3:]
    assert await listed(page="2", page_size="2") == ids[2:4]
    for _ in range(3):
        await alice.post(f"{API}/like-comments", comment_id=ids[4])
    assert await listed(order_by="popular") == [ids[4], *ids[:4], ids[5]]
    assert await listed(order_by="size", page=0) == await listed()
    assert (await alice.get(f"{API}/get-comment-likes", comment_id=ids[4]))["comment_likes"] == "1"
    first = await alice.get(f"{API}/get-comments", id=video, is_video="true", order_by="likes", page_size=4)
    await bob.post(f"{API}/like-comments", id=ids[5])
    rest = await listed(order_by="likes", cursor=first["next_cursor"])
    assert sorted([c["id"] for c in first["comments"]] + rest) == sorted(ids)
    await alice.post(f"{API}/unlike-comments", comment_id=ids[4])
    assert (await alice.get(f"{API}/get-comment-all", id=ids[4]))["comment"]["likes"] == "0"


@pytest.mark.parametrize("page_size", [10, 15, 20, 50])
async def test_the_head_is_fresh_for_its_writer(alice: Person, bob: Person, page_size: int) -> None:
    video = (await publish(alice))["id"]
    for number in range(4):
        top = await comment(bob, video, number)
        page = await bob.get(f"{API}/get-comments", id=video, is_video="true", page_size=page_size)
        assert [c["content"] for c in page["comments"]] == list(range(number + 1))[::-1]
        await bob.post(f"{API}/like-comments", comment_id=top)
        page = await bob.get(f"{API}/get-comments", id=video, is_video="true", page_size=page_size)
        assert page["comments"][0]["likes"] == "1"
        await alice.post(f"{API}/comment-comments", father_id=top, content="re")
        page = await alice.get(f"{API}/get-comments", id=video, is_video="true", page_size=page_size)
        assert page["comments"][0]["comments"] == "1"


async def test_the_owner_says_who_may_comment(alice: Person, bob: Person) -> None:
    made = await publish(alice, who_may_comment="friends")
    video = made["id"]
    assert (made["who_may_comment"], made["pinned"]) == ("friends", False)
    said = {"video_id": video, "content": "hi"}
    assert (await bob.get(f"{API}/get-video", id=video))["may_comment"] is False
    assert (await alice.get(f"{API}/get-video", id=video))["may_comment"] is True
    await bob.refused("POST", f"{API}/comment-video", 403, 10125, json=said)
    await comment(alice, video)
    await alice.post(f"{API}/update-video", video_id=video, who_may_comment="everyone")
    assert (await bob.get(f"{API}/get-video", id=video))["may_comment"] is True
    await comment(bob, video)
    await alice.post(f"{API}/update-video", video_id=video, who_may_comment="nobody")
    shown = await bob.get(f"{API}/get-video", id=video)
    assert (shown["may_comment"], shown["video"]["who_may_comment"]) == (False, "nobody")
    assert (await bob.get(f"{API}/get-comments", id=video, is_video="true"))["length"] == "2"
    await alice.refused("POST", f"{API}/create-video", 400, 10001, json={"who_may_comment": "me"} | VIDEO)


async def test_an_edit_and_a_pin_are_seen_at_once(alice: Person, bob: Person) -> None:
    """Through warm caches."""
    video = (await publish(alice))["id"]
    first, second = await comment(bob, video, "one"), await comment(bob, video, "two")

    async def shown() -> list[tuple[str, bool, bool]]:
        page = await alice.get(f"{API}/get-comments", id=video, is_video="true")
        return [(each["content"], each["edited_at"] != "0", each["pinned"]) for each in page["comments"]]

    assert await shown() == [("two", False, False), ("one", False, False)]
    edited = (await bob.post(f"{API}/edit-comment", comment_id=first, content="#uno"))["comment"]
    assert (edited["content"], edited["entities"][0]["tag"]) == ("#uno", "uno")
    assert await alice.post(f"{API}/pin-comment", comment_id=first) == {}
    assert await shown() == [("#uno", True, True), ("two", False, False)]
    assert await alice.post(f"{API}/pin-comment", id=first, pinned=False) == {}
    assert await shown() == [("two", False, False), ("#uno", True, False)]
    await bob.refused("POST", f"{API}/edit-comment", 400, 10004, json={"content": "x"})
    await alice.refused("POST", f"{API}/edit-comment", 403, -20008, json={"comment_id": second, "content": "x"})


async def test_three_videos_are_pinned(alice: Person, bob: Person) -> None:
    ids = [(await publish(bob))["id"] for _ in range(4)]
    for id in ids[:3]:
        assert await bob.post(f"{API}/pin-video", video_id=id) == {}
    await bob.refused("POST", f"{API}/pin-video", 409, 10128, json={"video_id": ids[3]})
    listed = (await alice.get(f"{API}/user-videos", user_id=bob.uid))["data"][:4]
    assert [(each["id"], each["pinned"]) for each in listed] == [(id, id != ids[3]) for id in (*ids[2::-1], ids[3])]
    for id in ids[:3]:
        assert await bob.post(f"{API}/pin-video", video_id=id, pinned=False) == {}
