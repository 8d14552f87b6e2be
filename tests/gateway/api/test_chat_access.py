"""Who may do what in another's conversation: each chat route for each relation between its caller and a user
(docs/contract/chat.md, "Who may talk")."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.app import ENDPOINTS
from protos.social.v1.mutes_pb2 import MuteUserRequest
from tests.support import asyncapi
from tests.support import social as graph
from tests.support.chat_stack import Stack, running_stack
from tests.support.gateway import FrontEnd, refusal_of
from tests.support.people import Person, new_people, relate
from tests.support.servers import Servers
from tests.support.sockets import Refusal, open_socket
from tests.support.user import Running as Users

API = "/api/chat"
# In a conversation with the user. `requester`: wrote without the user's agreement; `former`: a friend until the user
# ended it; `muting`: muted the user.
WITHIN = ("friend", "requester", "former", "muted", "muting", "blocked", "blocker")
# In none with them; they try that of the user and `friend`. `outsider`: a friend of the user.
WITHOUT = ("anonymous", "stranger", "added", "refused", "outsider")
OK, NO_TOKEN, NOT_FOUND = (200, 0), (401, -20001), (404, 10061)
NOT_FRIENDS, BLOCKED, AWAITED = (403, 10040), (403, 10030), (403, 10064)
ROUTES: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/messages", {}),
    ("POST", "/read", {"seq": 1}),
    ("POST", "/accept", {}),
    ("POST", "/decline", {}),
    ("GET", "/reactors", {"seq": 1}),
    ("GET", "/pinned-messages", {}),
    ("POST", "/hide", {}),
    ("POST", "/mute", {}),
    ("POST", "/pin", {}),
    ("POST", "/delete", {}),
]
OWN = {
    "/ws-ticket",
    "/conversations",
    "/marks",
    "/notifications",
    "/notifications/read",
    "/send",
    "/react",
    "/search",
    "/pin-message",
    "/cards",  # of videos: tests/gateway/moderation/test_shared_videos.py
}


@dataclass
class World:
    me: Person
    people: dict[str, FrontEnd]
    conversations: dict[str, str] = field(default_factory=dict)

    def conversation(self, kind: str) -> str:
        return self.conversations.get(kind, self.conversations["friend"])


@pytest.fixture(scope="module")
async def stack(servers: Servers, user: Users, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    async with running_stack(servers, user, tmp_path_factory.mktemp("access"), "chat_access") as stack:
        yield stack


async def send(person: FrontEnd, **to: str) -> tuple[tuple[int, int], str]:
    """The status and code, and the conversation's id."""
    body = {"to": to, "client_msg_id": str(uuid.uuid4()), "content_type": "text", "body": {"text": "hi"}}
    answer = await person.call("POST", API + "/send", json=body)
    if answer.status_code == 200:
        return OK, str(answer.json()["data"]["conversation_id"])
    return refusal_of(API + "/send", answer), ""


async def new_world(stack: Stack) -> World:
    social = stack.social
    kinds = ("friend", "requester", "muted", "muting", "blocked", "blocker", "outsider", "stranger")
    me, added, former, refused, *others = await new_people(stack.visitor, stack.users, 4 + len(kinds))
    people: dict[str, Person] = dict(zip(kinds, others, strict=True))
    people |= {"added": added, "former": former, "refused": refused}
    world = World(me, {**people, "anonymous": stack.visitor})
    for kind in ("friend", "muted", "muting", "blocked", "blocker", "outsider", "former"):
        await graph.add(social, people[kind].id, me.id)
        await graph.add(social, me.id, people[kind].id)
    await graph.add(social, people["requester"].id, me.id)
    for kind in WITHIN:
        answer, world.conversations[kind] = await send(people[kind], user_id=me.uid)
        assert answer == OK, kind
    await graph.unfriend(social, me.id, former.id)
    (another,) = await new_people(stack.visitor, stack.users, 1)
    await relate(social, me, added, another, refused, people["muted"])
    await graph.act(people["muting"].id, social.mutes.MuteUser, MuteUserRequest(user_id=me.id))
    await me.post("/api/contact/block", target_id=people["blocked"].uid)
    await people["blocker"].post("/api/contact/block", target_id=me.uid)
    return world


@pytest.fixture(scope="module")
async def world(stack: Stack) -> World:
    return await new_world(stack)


@pytest.mark.parametrize(("method", "path", "more"), ROUTES, ids=[path for _, path, _ in ROUTES])
async def test_a_conversation_is_for_its_two(world: World, method: str, path: str, more: dict[str, Any]) -> None:
    found = {}
    for kind in (*WITHIN, *WITHOUT):
        params = {"conversation_id": world.conversation(kind), **more}
        given = {"params": params} if method == "GET" else {"json": params}
        answer = await world.people[kind].call(method, API + path, **given)
        found[kind] = OK if answer.status_code == 200 else refusal_of(API + path, answer)
    assert found == dict.fromkeys(WITHIN, OK) | dict.fromkeys(WITHOUT, NOT_FOUND) | {"anonymous": NO_TOKEN}


async def test_who_may_write_to_a_user_and_into_a_conversation(stack: Stack) -> None:
    world = await new_world(stack)
    to_user = {kind: (await send(world.people[kind], user_id=world.me.uid))[0] for kind in (*WITHIN, *WITHOUT)}
    writers = {"friend", "requester", "muted", "muting", "added", "outsider"}
    expected = {kind: OK if kind in writers else NOT_FRIENDS for kind in (*WITHIN, *WITHOUT)}
    assert to_user == expected | {"blocker": BLOCKED, "anonymous": NO_TOKEN}
    by_id = {
        kind: (await send(world.people[kind], conversation_id=world.conversation(kind)))[0]
        for kind in (*WITHIN, *WITHOUT)
    }
    expected = {kind: expected[kind] if kind in WITHIN else NOT_FOUND for kind in expected}
    assert by_id == expected | {"blocker": BLOCKED, "anonymous": NO_TOKEN}
    assert (await send(world.people["requester"], user_id=world.me.uid))[0] == AWAITED
    shown = {each["conversation_id"]: each for each in (await world.me.get(API + "/conversations"))["conversations"]}
    assert [kind for kind in WITHIN if shown[world.conversations[kind]].get("request")] == ["requester"]


@pytest.mark.parametrize(("path", "more"), [("/react", {"emoji": "👍"}), ("/pin-message", {})])
async def test_who_may_write_may_react_and_pin(stack: Stack, path: str, more: dict[str, str]) -> None:
    world = await new_world(stack)
    found = {}
    for kind in (*WITHIN, *WITHOUT):
        body = {"conversation_id": world.conversation(kind), "seq": 1, **more}
        answer = await world.people[kind].call("POST", API + path, json=body)
        found[kind] = OK if answer.status_code == 200 else refusal_of(API + path, answer)
    expected = dict.fromkeys(WITHIN, OK) | dict.fromkeys(WITHOUT, NOT_FOUND)
    refused = {"requester": AWAITED, "former": NOT_FRIENDS, "blocked": NOT_FRIENDS, "blocker": BLOCKED}
    assert found == expected | refused | {"anonymous": NO_TOKEN}


async def test_reactions_reach_open_sockets_at_once_and_others_when_they_come_back(stack: Stack) -> None:
    (anna, ben) = await new_people(stack.visitor, stack.users, 2)
    await graph.add(stack.social, anna.id, ben.id)
    await graph.add(stack.social, ben.id, anna.id)
    async with open_socket(stack.url, str(anna.token)) as first, open_socket(stack.url, str(ben.token)) as second:
        sent = await first.send("hi", user_id=ben.id)
        of = {"conversation_id": sent["conversation_id"], "seq": 1}
        ack = await second.ask("react", **of, emoji="\u2764")
        assert ack == {"seq": 1, "rev": 2, "reactions": [{"emoji": "\u2764\ufe0f", "count": 1, "mine": True}]}
        event = await first.event("reactions", rev=2)
        asyncapi.check({"type": "reactions", "data": event})
        change = {"user_id": ben.uid, "emoji": "\u2764\ufe0f", "added": True}
        assert (event["reactions"], event["changes"]) == ([{"emoji": "\u2764\ufe0f", "count": 1}], [change])
        assert (await second.event("reactions", rev=2)) == event
        with pytest.raises(Refusal) as refused:
            await second.ask("react", **of, emoji="love")
        assert refused.value.code == "bad_request"
    await anna.post(API + "/react", **of, emoji="👍")
    await anna.post(API + "/react", **of, emoji="👍")  # a retry
    async with open_socket(stack.url, str(ben.token), {sent["conversation_id"]: 2}) as second:
        synced = await second.event("sync")
        asyncapi.check({"type": "sync", "data": synced})
        (one,) = synced["reactions"]
        assert (synced["to_rev"], one["rev"]) == (3, 3)
        assert one["reactions"][1] == {"emoji": "👍", "count": 1}
        assert one["reactions"][0]["mine"]
    (message,) = (await ben.get(API + "/messages", conversation_id=of["conversation_id"]))["messages"]
    assert (message["reactions"], message["reactions_rev"]) == (one["reactions"], 3)
    reactors = (await anna.get(API + "/reactors", **of))["reactors"]
    assert {(each["user_id"], each["emoji"]) for each in reactors} == {(anna.uid, "👍"), (ben.uid, "\u2764\ufe0f")}


async def test_pins_reach_open_sockets_at_once_and_others_when_they_come_back(stack: Stack) -> None:
    (anna, ben) = await new_people(stack.visitor, stack.users, 2)
    await graph.add(stack.social, anna.id, ben.id)
    await graph.add(stack.social, ben.id, anna.id)
    async with open_socket(stack.url, str(anna.token)) as first, open_socket(stack.url, str(ben.token)) as second:
        id = (await first.send("hi", user_id=ben.id))["conversation_id"]
        of = {"conversation_id": id, "seq": 1}
        assert await second.ask("message.pin", **of) == {**of, "rev": 2}
        event = await first.event("pinned", rev=2)
        asyncapi.check({"type": "pinned", "data": event})
        assert (event["pinned"], event["user_id"]) == (True, ben.uid)
        page = await first.ask("pins", conversation_id=id)
        assert page == await anna.get(API + "/pinned-messages", conversation_id=id)
        assert (page["rev"], page["messages"][0]["body"]) == (2, {"text": "hi"})
    async with open_socket(stack.url, str(ben.token), {id: 1}) as second:
        synced = await second.event("sync")
        asyncapi.check({"type": "sync", "data": synced})
        assert synced["pins"] == {"rev": 2, "pins": page["pins"]}
        await anna.post(API + "/pin-message", **of, pinned=False)
        assert (await second.event("pinned", rev=3))["pinned"] is False


async def test_ones_messages_are_found_over_a_socket_and_over_http(stack: Stack) -> None:
    (anna, ben) = await new_people(stack.visitor, stack.users, 2)
    await graph.add(stack.social, anna.id, ben.id)
    await graph.add(stack.social, ben.id, anna.id)
    async with open_socket(stack.url, str(anna.token)) as socket:
        for text in ("今天天气真好", "Café tomorrow", "nothing"):
            sent = await socket.send(text, user_id=ben.id)
        page = await socket.ask("search", text="天气", conversation_id=sent["conversation_id"])
        assert [each["body"]["text"] for each in page["messages"]] == ["今天天气真好"]
        with pytest.raises(Refusal) as refused:
            await socket.ask("search", text="x", content_types="poem")
        assert refused.value.code == "bad_request"
    found = await ben.get(API + "/search", text="cafe", sender_id=anna.uid, content_types="text", limit=5)
    assert ([each["seq"] for each in found["messages"]], found["next_cursor"]) == ([2], "")
    first = await ben.get(API + "/search", sender_id=anna.uid, limit=2)
    rest = await ben.get(API + "/search", sender_id=anna.uid, limit=2, cursor=first["next_cursor"])
    assert [each["seq"] for page in (first, rest) for each in page["messages"]] == [3, 2, 1]
    (stranger,) = await new_people(stack.visitor, stack.users, 1)
    assert (await stranger.get(API + "/search", text="cafe"))["messages"] == []
    await stranger.refused("GET", API + "/search", 404, 10061, params={"conversation_id": sent["conversation_id"]})
    await stack.visitor.refused("GET", API + "/search", 401, -20001, params={"text": "cafe"})


async def test_frames_of_a_friend_of_one_of_the_two_are_refused(stack: Stack, world: World) -> None:
    outsider, id = world.people["outsider"], world.conversation("friend")
    async with open_socket(stack.url, str(outsider.token)) as socket:
        with pytest.raises(Refusal) as refused:
            await socket.send("hi", conversation_id=id)
        assert refused.value.code == "not_found"
        for frame in ("history", "hide", "mute", "pin", "delete", "accept", "decline", "receipts"):
            with pytest.raises(Refusal) as refused:
                await socket.ask(frame, conversation_id=id)
            assert refused.value.code == "not_found", frame
        with pytest.raises(Refusal):
            await socket.ask("edit", conversation_id=id, seq=1, body="x")
        with pytest.raises(Refusal):
            await socket.ask("recall", conversation_id=id, seq=1)
    (message,) = (await world.me.get(API + "/messages", conversation_id=id))["messages"]
    assert (message["seq"], message["body"]) == (1, {"text": "hi"})


def test_the_table_has_every_chat_route() -> None:
    paths = {path for handler in ENDPOINTS for path in handler.opt["endpoint"].paths if path.startswith(API)}
    assert paths == {API + path for _, path, _ in ROUTES} | {API + path for path in OWN}
