"""Following over HTTP: counts in profiles, lists, requests, and many at once."""

import asyncio

from tests.support.gateway import FrontEnd, RunningGateway
from tests.support.people import Person, new_people
from tests.support.user import Running as Users
from tests.support.video_people import publish

CONTACT = "/api/contact/"


async def numbers(viewer: Person, user: Person) -> tuple[int, ...]:
    profile = await viewer.get("/api/user/get-profile", id=user.uid)
    return tuple(profile[name] for name in ("followers_count", "following_count", "likes_received", "videos_count"))


async def ids(viewer: Person, path: str, **params: object) -> list[str]:
    return [user["id"] for user in (await viewer.get(CONTACT + path, **params))["users"]]


async def test_profiles_count_and_lists_name_them(video_gateway: RunningGateway, user: Users) -> None:
    me, you, other = await new_people(FrontEnd(video_gateway.http), user, 3)
    assert await numbers(me, you) == (0, 0, 0, 0)
    for _ in range(2):
        assert await me.post(CONTACT + "follow", target_id=you.uid) == {"state": "following"}
    await you.post(CONTACT + "follow", target_id=me.uid)
    await other.post(CONTACT + "follow", target_id=you.uid)
    made = await publish(you)
    await me.post("/api/videos/like-video", video_id=made["id"])
    await publish(you, visibility="private")
    assert (await numbers(other, you))[:2] == (2, 1)
    profile = await me.get("/api/user/get-user-info", id=you.uid)
    assert profile["is_following"] and profile["follows_me"] and profile["is_mutual"]
    assert not profile["follow_requested"]
    assert await ids(me, "get-followers", user_id=you.uid) == [other.uid, me.uid]
    (listed,) = (await me.get(CONTACT + "get-following"))["users"]
    assert listed["id"] == you.uid and listed["is_mutual"] and listed["email"] == ""
    first = await me.get(CONTACT + "get-followers", user_id=you.uid, limit=1)
    assert await ids(me, "get-followers", user_id=you.uid, limit=1, cursor=first["next_cursor"]) == [me.uid]
    await you.post(CONTACT + "remove-follower", target_id=other.uid)
    await me.post(CONTACT + "unfollow", target_id=you.uid)
    assert (await numbers(other, you))[:2] == (0, 1)
    await me.refused("POST", CONTACT + "follow", 404, 10011, json={"target_id": 2**62})
    await me.refused("POST", CONTACT + "follow", 400, 10097, json={"target_id": me.uid})
    await me.post(CONTACT + "block", target_id=you.uid)
    await me.refused("POST", CONTACT + "follow", 403, 10030, json={"target_id": you.uid})
    assert (await numbers(me, you))[:2] == (0, 0)


async def test_the_numbers_of_videos(video_gateway: RunningGateway, user: Users) -> None:
    me, fan = await new_people(FrontEnd(video_gateway.http), user, 2)
    made = [await publish(me) for _ in range(2)]
    await publish(me, visibility="private")
    for video in made:
        await fan.post("/api/videos/like-video", video_id=video["id"])
    assert await numbers(fan, me) == (0, 0, 2, 2)


async def test_who_accepts_followers_one_by_one(visitor: FrontEnd, user: Users) -> None:
    shy, fan, stranger = await new_people(visitor, user, 3)
    await shy.post(CONTACT + "set-settings", who_may_follow="ask")
    assert (await shy.get(CONTACT + "get-settings"))["who_may_follow"] == "ask"
    for _ in range(2):
        assert await fan.post(CONTACT + "follow", target_id=shy.uid) == {"state": "requested"}
    assert (await fan.get("/api/user/get-profile", id=shy.uid))["follow_requested"]
    assert await ids(shy, "get-follow-requests") == [fan.uid] and await ids(shy, "get-followers") == []
    await shy.post(CONTACT + "handle-follow-request", target_id=fan.uid, accept=True)
    await shy.refused(
        "POST", CONTACT + "handle-follow-request", 404, 10037, json={"target_id": fan.uid, "accept": True}
    )
    assert await ids(fan, "get-followers", user_id=shy.uid) == [fan.uid]
    await stranger.refused("GET", CONTACT + "get-followers", 403, 10099, params={"user_id": shy.uid})


async def test_fifty_at_once(visitor: FrontEnd, user: Users) -> None:
    idol, *fans = await new_people(visitor, user, 6)
    await asyncio.gather(*(fan.post(CONTACT + "follow", target_id=idol.uid) for fan in fans for _ in range(5)))
    await asyncio.gather(
        *(fan.post(CONTACT + verb, target_id=idol.uid) for fan in fans for verb in ("follow", "unfollow", "follow"))
    )
    profile = await idol.get("/api/user/get-my-info")
    assert profile["followers_count"] == len(await ids(idol, "get-followers"))
