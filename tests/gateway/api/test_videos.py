"""api/videos: what each kind of caller gets of each video, and the document's fields."""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx
import pytest

from gateway.app import ENDPOINTS
from gateway.files.urls import hash_in
from tests.support.clock import stopped
from tests.support.gateway import FrontEnd, RunningGateway, refusal_of, running_gateway, until_it_hears
from tests.support.people import Person, new_people, new_person
from tests.support.social import Running as Social
from tests.support.user import Running as Users
from tests.support.video_people import (
    URL,
    VISIBILITIES,
    VideoWorld,
    comment,
    new_video_world,
    publish,
    upload,
    upload_picture,
)
from tests.support.videos import Videos, execute

BETWEEN = ("added", "former", "refused", "muted", "muting")  # to a friends-only video all of them are strangers
KINDS = ("anonymous", "blocked", "stranger", *BETWEEN, "friend", "owner", "admin")
SEES = {
    "public": {"stranger", *BETWEEN, "friend", "owner", "admin"},
    "friends": {"friend", "owner", "admin"},
    "private": {"owner", "admin"},
}
OK, NO_TOKEN, FORBIDDEN = (200, 0), (401, -20001), (403, -20008)
NO_VIDEO, NO_COMMENT = (404, 10017), (404, 10018)
API = "/api/videos"

Params = Callable[[VideoWorld, str], dict[str, Any]]


class Route(NamedTuple):
    """`missing`: the answer to a viewer from whom the video is hidden; in a list the video is left out instead."""

    method: str
    path: str
    params: Params
    missing: tuple[int, int] = NO_VIDEO
    only: tuple[str, ...] = KINDS  # of those who see it, who may


def of_video(world: VideoWorld, visibility: str) -> dict[str, Any]:
    return {"video_id": world.videos[visibility]}


def of_comment(world: VideoWorld, visibility: str) -> dict[str, Any]:
    return {"comment_id": world.comments[visibility]}


def with_(params: Params, **more: Any) -> Params:
    return lambda world, visibility: params(world, visibility) | more


def by_id(params: Params, **more: Any) -> Params:
    return lambda world, visibility: {"id": next(iter(params(world, visibility).values()))} | more


def father(world: VideoWorld, visibility: str) -> dict[str, Any]:
    return {"father_id": world.comments[visibility], "content": "re"}


CAPTIONS = "WEBVTT\n\n00:01.000 --> 00:02.000\nx\n"
IN_LIST = (200, -1)  # served, without it
ROUTES = [
    Route("GET", API, lambda _, __: {"page_size": 50}, IN_LIST),
    Route("GET", API + "/user-videos", lambda world, _: {"id": world.owner.uid, "page_size": 50}, IN_LIST),
    Route("GET", "/api/search", lambda _, __: {"query": "学姐", "limit": 20}, IN_LIST),
    Route("GET", API + "/search-videos", lambda _, __: {"query": "学姐", "page_size": 50}, IN_LIST),
    Route("GET", API + "/liked-videos", lambda _, __: {"page_size": 50}, IN_LIST),
    Route("GET", API + "/get-video", of_video),
    Route("GET", API + "/get-video-likes", of_video),
    Route("POST", API + "/like-video", of_video),
    Route("POST", API + "/unlike-video", of_video),
    Route("POST", API + "/share-video", of_video),
    Route("POST", API + "/view-video", with_(of_video, watched_seconds=3)),
    Route("POST", API + "/comment-video", with_(of_video, content={"a": 1})),
    Route("POST", API + "/comment-comments", father, NO_COMMENT),
    Route("POST", API + "/like-comments", of_comment, NO_COMMENT),
    Route("POST", API + "/unlike-comments", by_id(of_comment), NO_COMMENT),
    Route("GET", API + "/get-comments", by_id(of_video, is_video=True)),
    Route("GET", API + "/get-comments", by_id(of_comment, is_video=False), NO_COMMENT),
    Route("GET", API + "/get-comment-all", of_comment, NO_COMMENT),
    Route("GET", API + "/get-comment-likes", of_comment, NO_COMMENT),
    Route("GET", API + "/get-comment-member", by_id(of_video, is_video=True)),
    Route("GET", API + "/get-comment-member", by_id(of_comment, is_video=False), NO_COMMENT),
    Route("POST", API + "/update-video", with_(of_video, title="学姐"), only=("owner",)),
    Route("POST", API + "/set-captions", with_(of_video, language="en", text=CAPTIONS), only=("owner",)),
    Route("POST", API + "/delete-captions", with_(of_video, language="en"), only=("owner",)),
    Route("POST", API + "/pin-video", of_video, only=("owner",)),
    Route("POST", API + "/pin-comment", of_comment, NO_COMMENT, only=("owner",)),
    Route("POST", API + "/edit-comment", with_(of_comment, content="re"), NO_COMMENT, only=("owner",)),
    Route("POST", API + "/delete-comment", of_comment, NO_COMMENT, only=("owner", "admin")),
    Route("POST", API + "/delete-video", of_video, only=("owner", "admin")),
]
FOR_YOU_ROUTES = [
    f"GET {API}/for-you",
    f"GET {API}/for-you-why",
    f"POST {API}/not-interested",
    f"GET {API}/kept-out",
    f"GET {API}/for-you-settings",
    f"POST {API}/set-for-you-settings",
    f"POST {API}/reset-for-you",
]
NOT_ABOUT_ONE = {
    "create-video",
    *("following-videos", "following-unseen", "mark-following-seen"),  # test_following_feed
    *(path.rpartition("/")[2] for path in FOR_YOU_ROUTES),  # test_for_you
}


@pytest.fixture(scope="module")
async def world(video_gateway: RunningGateway, user: Users, social: Social, media: Videos) -> VideoWorld:
    return await new_video_world(FrontEnd(video_gateway.http), user, social, media)


@pytest.fixture(scope="module")
async def alice(video_gateway: RunningGateway, user: Users) -> Person:
    return await new_person(FrontEnd(video_gateway.http), user)


@pytest.fixture(scope="module")
async def bob(video_gateway: RunningGateway, user: Users) -> Person:
    return await new_person(FrontEnd(video_gateway.http), user)


async def call(person: FrontEnd, route: Route, world: VideoWorld, visibility: str) -> tuple[int, int]:
    """Status and code; 0 for success, with the video in it if it is a list."""
    params = route.params(world, visibility)
    response = await person.call(
        route.method, route.path, **({"params": params} if route.method == "GET" else {"json": params})
    )
    if response.status_code != 200:
        return refusal_of(route.path, response)
    if route.missing is IN_LIST:
        data = response.json()["data"]
        listed = [video["id"] for video in data.get("data", data.get("videos"))]
        return (200, 0 if world.videos[visibility] in listed else -1)
    return OK


@pytest.mark.parametrize("visibility", VISIBILITIES)
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_each_kind_of_caller(world: VideoWorld, route: Route, visibility: str) -> None:
    """In any order and twice, so that nobody is answered from what another was."""
    if route.path.endswith("liked-videos"):
        for kind in SEES[visibility]:
            await world.front_end(kind).post(API + "/like-video", video_id=world.videos[visibility])
    expected = {kind: OK if kind in route.only else FORBIDDEN for kind in SEES[visibility]}
    expected |= {kind: route.missing for kind in KINDS if kind not in expected} | {"anonymous": NO_TOKEN}
    if route.path in (API, API + "/search-videos", "/api/search"):
        expected["muting"] = IN_LIST
    deletes = "delete" in route.path
    for kind in KINDS if deletes else (*KINDS, *reversed(KINDS)):
        if deletes:
            made = await publish(world.owner, video_path=world.files[visibility], visibility=visibility)
            world.videos[visibility] = made["id"]
            world.comments[visibility] = await comment(world.owner, made["id"])
        assert await call(world.front_end(kind), route, world, visibility) == expected[kind], kind


@pytest.mark.parametrize("visibility", VISIBILITIES)
async def test_the_bytes_are_for_whom_the_video_is(world: VideoWorld, media: Videos, visibility: str) -> None:
    owner = world.owner
    file, cover = await upload(owner, media), await upload_picture(owner)
    made = await publish(owner, video_path=file, cover_path=cover, visibility=visibility)
    for kind in KINDS:
        bare = await world.front_end(kind).call("GET", file)
        assert bare.status_code == (200 if visibility == "public" else 404), kind
        answer = await world.front_end(kind).call("GET", API + "/get-video", params={"video_id": made["id"]})
        assert (answer.status_code == 200) is (kind in SEES[visibility]), kind
        if answer.status_code == 200:
            shown = answer.json()["data"]["video"]
            for url in (shown["url"], shown["cover"], shown["playback_url"]):
                assert (await httpx_get(world.visitor, url)).status_code == 200, (kind, url)


async def httpx_get(visitor: FrontEnd, url: str) -> httpx.Response:
    return await visitor.http.get(url)


async def test_only_ones_own_picture_is_an_avatar_or_an_icon(alice: Person, bob: Person, media: Videos) -> None:
    own, film = await upload_picture(alice), await upload(alice, media)
    assert await alice.post("/api/user/set-profile", avatar=own) == {}
    shown = await bob.get("/api/user/get-user-info", id=alice.id)
    assert (len(shown["avatar_blurhash"]), shown["avatar_width"], shown["avatar_height"]) == (28, 1, 1)
    assert await execute(media, "SELECT FROM object WHERE hash = :hash AND held_at IS NOT NULL", hash=hash_in(own))
    for url, code in ((own, 404), (film, 404)):
        await bob.refused("POST", "/api/user/set-profile", code, 10054, json={"avatar": url})
    await bob.refused("POST", "/api/contact/create-community", 404, 10054, json={"name": "g", "icon": own})
    await alice.refused("POST", "/api/user/set-profile", 400, 10001, json={"avatar": film})
    assert await bob.post("/api/user/set-profile", avatar="https://example.com/a.png") == {}
    shown = await alice.get("/api/user/get-user-info", id=bob.id)
    assert (shown["avatar_blurhash"], shown["avatar_width"], shown["avatar_height"]) == ("", 0, 0)
    account = {"email": "a@example.com", "code": "123456", "password": "password", "username": "x", "avatar": own}
    await FrontEnd(alice.http).refused("POST", "/api/login/register", 404, 10054, json=account)


async def test_a_video_says_whether_it_plays(alice: Person, bob: Person, media: Videos) -> None:
    file = await upload(alice, media)
    facts = "UPDATE object SET state = 1, width = 64, height = 48, duration = 300 WHERE hash = :hash"
    await execute(media, facts, hash=hash_in(file))
    await execute(media, "UPDATE job SET due_at = now() WHERE object_hash = :hash", hash=hash_in(file))
    made = await publish(alice, video_path=file)
    assert (made["status"], made["reason"], made["playback_url"]) == ("processing", "", "")
    assert (made["width"], made["height"], made["duration"], made["blurhash"]) == (64, 48, 300, "")
    assert (int(made["CreatedTime"]) // 1000, int(made["UpdatedTime"]) // 1000) == (
        int(made["created_at"]),
        int(made["updated_at"]),
    )
    await bob.refused("GET", f"{API}/get-video", 404, 10017, params={"video_id": made["id"]})
    outside = await publish(alice)
    assert (outside["status"], outside["playback_url"]) == ("ready", URL)
    picture = await upload_picture(alice)
    await alice.refused("POST", f"{API}/create-video", 400, 10001, json={"video_path": picture, "title": "x"})


def test_the_table_has_every_video_route() -> None:
    tabled = {route.path for route in ROUTES if route.path.startswith(API)} | {
        f"{API}/{name}" for name in NOT_ABOUT_ONE
    }
    paths = {handler.opt["endpoint"].paths[0] for handler in ENDPOINTS}
    assert {path for path in paths if path.startswith(API)} == tabled


async def test_both_halves_of_the_document(alice: Person) -> None:
    made = await publish(
        alice, title="社团学姐", description="美丽的女士", cover_path=URL, type="video", user_id=alice.uid
    )
    (shown,) = [v for v in (await alice.get(API, page_size="50"))["data"] if v["id"] == made["id"]]
    assert shown == made
    assert (shown["url"], shown["cover"]) == (shown["video_url"], shown["cover_url"]) == (URL, URL)
    for short, long in (("likes", "like_count"), ("comments", "comment_count"), ("shares", "share_count")):
        assert shown[short] == shown[long] == "0"
    assert shown["created_at"].isdigit()
    assert len(shown["created_at"]) == 10
    assert (shown["is_private"], shown["is_liked"], shown["visibility"]) == (False, False, "public")
    page = await alice.get(API)
    assert (page["page"], page["page_size"]) == ("1", "10")
    assert isinstance(page["total"], str)


@pytest.mark.parametrize("order", ["latest", "created_at", "popular", "likes", "random", ""])
async def test_pages_by_number_and_by_cursor(alice: Person, order: str) -> None:
    for _ in range(5):
        await publish(alice)
    ids: list[str] = []
    for page in (1, 2):
        ids += [v["id"] for v in (await alice.get(API, order_by=order, page=page, page_size=2))["data"]]
    assert len(set(ids)) == 4
    seen: list[str] = []
    cursor = ""
    while True:
        page_ = await alice.get(API, order_by=order, cursor=cursor, page_size=3)
        seen += [v["id"] for v in page_["data"]]
        cursor = page_["next_cursor"]
        assert page_["has_more"] is bool(cursor)
        if not cursor:
            break
    assert len(seen) == len(set(seen)) >= 5


async def test_a_random_page_one_is_another_each_time(alice: Person) -> None:
    firsts = [tuple(v["id"] for v in (await alice.get(API, order_by="random"))["data"]) for _ in range(6)]
    assert len(set(firsts)) > 1
    seeded = [tuple(v["id"] for v in (await alice.get(API, order_by="random", seed="77"))["data"]) for _ in range(2)]
    assert seeded[0] == seeded[1]


async def test_a_random_list_goes_on_at_another_gateway(alice: Person, video_gateway: RunningGateway) -> None:
    """By the number of the page, without a seed; also where the other one began a list of the session before."""
    for _ in range(6):
        await publish(alice)
    size = {"order_by": "random", "page_size": 3}
    async with running_gateway(video_gateway.container.settings) as second:
        other = FrontEnd(second.http, alice.token)
        await other.get(API, **size)
        seen = [video["id"] for front, page in ((alice, 1), (other, 2)) for video in await _page(front, page, size)]
        seen += [video["id"] for video in await _page(other, 2, size)]
    assert len(seen) == 9 and len(set(seen)) == 6


async def _page(front_end: FrontEnd, page: int, params: dict[str, Any]) -> list[dict[str, Any]]:
    videos: list[dict[str, Any]] = (await front_end.get(API, page=page, **params))["data"]
    return videos


async def test_a_writer_sees_their_own_change(alice: Person, bob: Person) -> None:
    """Through warm caches, each time."""
    made = await publish(alice)

    async def shown() -> dict[str, Any]:
        return next(v for v in (await bob.get(API, page_size=50))["data"] if v["id"] == made["id"])

    for number in range(5):
        liked = number % 2 == 0
        await bob.post(f"{API}/{'like' if liked else 'unlike'}-video", video_id=made["id"])
        seen = await shown()
        assert (seen["likes"], seen["is_liked"]) == (str(int(liked)), liked)
        assert await bob.get(f"{API}/get-video-likes", video_id=made["id"]) == {"video_likes": str(int(liked))}
        await comment(bob, made["id"])
        assert (await shown())["comments"] == str(number + 1)
    await alice.post(f"{API}/update-video", video_id=made["id"], title="新")
    assert (await shown())["title"] == "新"
    await alice.post(f"{API}/update-video", video_id=made["id"], visibility="private")
    assert made["id"] not in [v["id"] for v in (await bob.get(API, page_size=50))["data"]]
    await alice.post(f"{API}/delete-video", video_id=made["id"])
    assert made["id"] not in [v["id"] for v in (await alice.get(API, page_size=50))["data"]]


async def test_another_gateway_hears_of_it(alice: Person, media: Videos, video_gateway: RunningGateway) -> None:
    """What another process wrote is seen because it is told, though the caches are warm."""
    id = (await publish(alice))["id"]

    async def likes() -> str:
        return str((await alice.get(f"{API}/get-video-likes", video_id=id))["video_likes"])

    async def set_count(count: int) -> None:
        await execute(media, "UPDATE video SET like_count = :count WHERE id = :id", count=count, id=int(id))

    await until_it_hears(video_gateway)
    with stopped(video_gateway.container.video_cache.caches["videos"]):
        async with asyncio.timeout(30):
            while True:  # until the event of its publication has come by, after which the cache keeps the 0
                await likes()
                await set_count(5)
                if await likes() == "0":
                    break
                await set_count(0)
                await tell(media, id)
            await tell(media, id)
            while await likes() != "5":  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    await set_count(0)


async def tell(media: Videos, id: str) -> None:
    event = (
        "INSERT INTO outbox (subject, aggregate, data) VALUES ('events.media.video.liked', 'video:1',"
        " jsonb_build_object('video_id', CAST(:id AS text)))"
    )
    await execute(media, event, id=id)


async def test_many_like_at_once(video_gateway: RunningGateway, user: Users, alice: Person) -> None:
    made = await publish(alice)
    people = await new_people(FrontEnd(video_gateway.http), user, 20)
    calls = [p.post(f"{API}/like-video", video_id=made["id"]) for p in people for _ in range(3)]
    calls.append(alice.refused("POST", f"{API}/like-video", *NO_VIDEO, json={"video_id": "12345"}))
    await asyncio.gather(*calls)
    assert await alice.get(f"{API}/get-video-likes", video_id=made["id"]) == {"video_likes": "20"}


async def test_the_actor_is_the_tokens_user(alice: Person, bob: Person) -> None:
    made = await publish(alice)
    writes = {
        "create-video": {"video_path": URL, "title": "x"},
        "update-video": {"video_id": made["id"], "title": "x"},
        "comment-video": {"video_id": made["id"], "content": 1},
        "view-video": {"video_id": made["id"], "watched_seconds": 3},
        "set-captions": {"video_id": made["id"], "language": "en", "text": CAPTIONS},
        "delete-captions": {"video_id": made["id"], "language": "en"},
        "like-comments": {"comment_id": made["id"]},
        "unlike-comments": {"comment_id": made["id"]},
        "delete-comment": {"comment_id": made["id"]},
        "comment-comments": {"father_id": made["id"], "content": 1},
        "edit-comment": {"comment_id": made["id"], "content": 1},
        "pin-comment": {"comment_id": made["id"]},
    }
    writes |= {f"{verb}-video": {"video_id": made["id"]} for verb in ("like", "unlike", "share", "delete", "pin")}
    for name, body in writes.items():
        await alice.refused("POST", f"{API}/{name}", *FORBIDDEN, json=body | {"user_id": bob.uid})
    await alice.post(f"{API}/like-video", video_id=made["id"], user_id=alice.uid, owner_id="not an id")


BAD_TEXTS = ["-1", "abc", str(10**30), "1e400", "１", "\0", "1; DROP"]
BAD = [*BAD_TEXTS, -1, 10**30, 2**63, 1.5, True, [1], {"a": 1}]


async def test_bad_ids(alice: Person) -> None:
    for method, name, field in (
        ("POST", "like-video", "video_id"),
        ("POST", "share-video", "video_id"),
        ("POST", "delete-comment", "comment_id"),
        ("POST", "comment-comments", "father_id"),
        ("GET", "get-video", "video_id"),
        ("GET", "get-comments", "id"),
        ("GET", "get-comment-all", "comment_id"),
        ("GET", "user-videos", "id"),
    ):
        for bad in ["0", *BAD_TEXTS] if method == "GET" else [0, *BAD]:
            params = {field: bad, "content": 1}
            response = await alice.call(
                method, f"{API}/{name}", **({"params": params} if method == "GET" else {"json": params})
            )
            status, code = refusal_of(API, response)
            assert (status, code in (10001, 10003)) == (400, True), (name, bad, status, code)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"title": "x"}, 10004),
        ({"video_path": URL}, 10004),
        ({"video_path": "", "title": "x"}, 10002),
        ({"video_path": URL, "title": ""}, 10002),
        ({"video_path": URL, "title": "x" * 101}, 10001),
        ({"video_path": URL, "title": "x", "description": "x" * 501}, 10001),
        ({"video_path": "javascript:alert(1)", "title": "x"}, 10001),
        ({"video_path": "/media/x.mp4", "title": "x"}, 10001),
        ({"video_path": URL, "title": "x", "cover_path": "data:x"}, 10001),
        ({"video_path": URL, "title": "x", "visibility": "nobody"}, 10001),
        ({"video_path": URL, "title": 5}, 10003),
    ],
)
async def test_what_is_not_published(alice: Person, body: dict[str, Any], code: int) -> None:
    await alice.refused("POST", f"{API}/create-video", 400, code, json=body)


async def test_anothers_private_file(alice: Person, bob: Person, media: Videos) -> None:
    file = await upload(alice, media)
    await publish(alice, video_path=file, is_private=True)
    elsewhere = file.replace("http://gateway", "https://other.example.com")
    for url in (file, elsewhere):  # the same file, by whatever address
        body = {"video_path": url, "title": "x"}
        await bob.refused("POST", f"{API}/create-video", 404, 10054, json=body)


async def test_what_clients_of_the_original_send(alice: Person) -> None:
    """docs/contract/compat.md, "Always (tolerance)"."""
    made = await publish(alice)
    plain = await alice.get(API, page_size=5)

    async def ids(**query: Any) -> list[str]:
        return [item["id"] for item in (await alice.get(API, page_size=5, **query))["data"]]

    for order in ("CreatedTime", "size", ""):
        assert await ids(order_by=order) == await ids()
        assert await ids(order_by=order, page=2) == await ids(page=2)
    assert await ids() == await ids(page=0) == await ids(page="0")
    (item,) = [item for item in plain["data"] if item["id"] == made["id"]]
    assert item["status"] == "ready"
    assert len(item["CreatedTime"]) == len(item["UpdatedTime"]) == 13
    await alice.post(f"{API}/like-video", video_id=made["id"], user_id="")
    await alice.refused("POST", f"{API}/like-video", 400, 10004, json={"video_id": "", "user_id": ""})


async def test_how_far_pages_go(alice: Person) -> None:
    far = await alice.get(API, page=501, page_size=10)
    assert (far["data"], far["has_more"]) == ([], False)
    assert (await alice.get(API, page_size=1000))["page_size"] == "50"
    await alice.refused("GET", API, 400, 10001, params={"page": -1})
    await alice.refused("GET", API, 400, 10001, params={"cursor": "x"})
