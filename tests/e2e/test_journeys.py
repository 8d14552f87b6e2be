"""`make run`, and what a person does with it: both API families, both ports, and again the next day."""

import asyncio
import secrets
import statistics
import time
import uuid
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.deploy.observability import not_served
from tests.deploy.runs import wait_until_gone
from tests.e2e.everything import Everything, everything
from tests.e2e.people import Person, register, register_by_phone
from tests.support.gateway import FrontEnd
from tests.support.servers import find_family, temporary_folder
from tests.support.sockets import open_socket
from tests.support.spans import Collector, collecting
from tests.support.user import mailed_code

ME = "/api/user/get-my-info"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def running(collector: Collector) -> Iterator[Everything]:
    with (
        temporary_folder() as folder,
        everything(folder / "var", HITOK_OTLP_ENDPOINT=collector.endpoint, OTEL_BSP_SCHEDULE_DELAY="100") as running,
    ):
        yield running


@pytest.fixture
async def http(running: Everything) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=running.urls[0], timeout=10) as client:
        yield client


async def new_person(running: Everything, http: httpx.AsyncClient) -> Person:
    return await register(http, lambda address: mailed_code(running.var, address))


async def test_the_short_video_journey(running: Everything, http: httpx.AsyncClient) -> None:
    visitor, alice = FrontEnd(http), await new_person(running, http)

    tokens = await visitor.post("/api/login/login", **alice.login)
    again = await visitor.post("/api/login/refresh-token", rtoken=tokens["rtoken"])
    front = visitor.with_token(again["atoken"])
    me = await front.get(ME)
    await front.post("/api/user/set-role", id=me["id"], role="1")
    await front.post("/api/user/set-profile", id=me["id"], bio="新的简介")
    me = await front.get(ME)
    assert (me["username"], me["bio"], me["role"]) == (alice.name, "新的简介", "1")

    sessions = (await front.get("/api/user/sessions"))["sessions"]
    assert [session["current"] for session in sessions] == [True, False]
    await front.post("/api/login/logout")
    await front.refused("GET", ME, 401, -20002)
    await alice.get(ME)


async def test_the_chat_journey_on_the_other_port(running: Everything) -> None:
    async with httpx.AsyncClient(base_url=running.urls[1]) as http:
        front, phone = await register_by_phone(http)
        body = {"phone": phone, "password": "correct horse"}
        for path in ("/api/v2/user/login", "/api/v1/user/login"):
            data = await front.chat("POST", path, json=body)
            info = (await front.with_token(data["token"]).chat("GET", "/api/v1/user/detail"))["info"]
            assert info["mobile"] == phone
    async with httpx.AsyncClient(base_url=running.urls[0]) as http:
        assert (await FrontEnd(http, front.token).get(ME))["user"]["Phone"] == phone


async def test_both_ports_say_they_are_ready_and_show_the_page(running: Everything) -> None:
    for url in running.urls:
        async with httpx.AsyncClient(base_url=url) as http:
            for path in ("/health/live", "/health/ready", "/docs", "/openapi.json", "/metrics"):
                assert (await http.get(path)).status_code == 200, path


async def test_one_trace_leads_from_a_request_to_the_sockets_of_others(
    running: Everything, http: httpx.AsyncClient, collector: Collector
) -> None:
    alice, bob = [await new_person(running, http) for _ in range(2)]
    await alice.post("/api/contact/add-friend", username=bob.name)
    await bob.post("/api/contact/add-friend", username=alice.name)
    async with open_socket(running.urls[0], bob.token) as socket:
        bob_id = str((await bob.get(ME))["id"])
        body = {"to": {"user_id": bob_id}, "client_msg_id": str(uuid.uuid4()), "content_type": "text"}
        body |= {"body": {"text": "hush hush"}}
        trace, root = secrets.token_hex(16), secrets.token_hex(8)
        await alice.ok("POST", "/api/chat/send", json=body, headers={"traceparent": f"00-{trace}-{root}-01"})
        await socket.event("message")
        await socket.send("and back", user_id=(await alice.get(ME))["id"])

    sent, asked = "/hitok.chat.v1.Conversations/Send", "social /hitok.social.v1.Friends/BatchCheckFriends"
    serving = ["gateway POST /api/chat/send", f"gateway {sent}", f"chat {sent}"]

    def is_whole(ways: list[list[str]]) -> bool:
        pushed = ways.count([*serving, "chat publish push", "gateway deliver push"])
        written = [*serving, "chat write messages", "chat WITH"] in ways  # the statement's first word
        permitted = any(way[:3] == serving and way[-2:] == [asked, "social SELECT"] for way in ways)
        return pushed == 3 and written and permitted  # to each of the two that they talk, and the message

    collector.wait(trace, root, is_whole)
    assert "hush" not in str(collector.spans)


async def test_what_one_device_deletes_is_gone_on_the_other(running: Everything, http: httpx.AsyncClient) -> None:
    alice, bob = [await new_person(running, http) for _ in range(2)]
    await alice.post("/api/contact/add-friend", username=bob.name)
    await bob.post("/api/contact/add-friend", username=alice.name)
    alice_id = (await alice.get(ME))["id"]
    async with open_socket(running.urls[0], alice.token) as phone, open_socket(running.urls[1], alice.token) as laptop:
        async with open_socket(running.urls[0], bob.token) as other:
            sent = await other.send("to be forgotten", user_id=alice_id)
            id = sent["conversation_id"]
            for device in (phone, laptop):
                await device.event("message", seq=1)
            mark = await alice.post("/api/chat/pin", conversation_id=id)
            assert (mark["marks_rev"], mark["pinned"]) == (1, True)
            assert (await laptop.event("conversation", marks_rev=1))["pinned"] is True
            await phone.ask("delete", conversation_id=id)
            assert (await laptop.event("conversation", marks_rev=2))["cleared_seq"] == 1
            edited = {"conversation_id": id, "seq": 1, "body": {"text": "changed"}}
            rev = (await other.ask("edit", **edited))["rev"]
            assert (await laptop.event("conversation", rev=rev)) == {"conversation_id": id, "rev": rev}
            assert (await alice.get("/api/chat/conversations"))["conversations"] == []
            (hidden,) = (await alice.get("/api/chat/conversations", hidden="true"))["conversations"]
            assert (hidden["hidden"], hidden["last_message"]) == (True, None)
            await other.send("something new", user_id=alice_id)
            for device in (phone, laptop):
                await device.event("message", seq=2)
    async with open_socket(running.urls[0], alice.token, {id: 1}) as again:
        assert again.ready["marks_rev"] == 2
        assert (await again.ask("marks", from_rev=1))["marks"][0]["cleared_seq"] == 1
    (shown,) = (await alice.get("/api/chat/conversations"))["conversations"]
    assert (shown["unread"], shown["last_message"]["seq"]) == (1, 2)
    history = await alice.get("/api/chat/messages", conversation_id=id)
    assert [message["seq"] for message in history["messages"]] == [2]
    await bob.refused(
        "POST", "/api/chat/mute", 400, 10001, json={"conversation_id": id, "until": "2020-01-01T00:00:00Z"}
    )
    await FrontEnd(http).refused("POST", "/api/chat/delete", 401, -20001, json={"conversation_id": id})


async def test_an_event_is_handled_in_the_trace_of_its_cause(
    running: Everything, http: httpx.AsyncClient, collector: Collector
) -> None:
    alice = await new_person(running, http)
    trace, root = secrets.token_hex(16), secrets.token_hex(8)
    body = {"name": "climbers", "desc": "", "icon": "1"}
    headers = {"traceparent": f"00-{trace}-{root}-01"}
    await alice.ok("POST", "/api/contact/create-community", json=body, headers=headers)

    def is_whole(ways: list[list[str]]) -> bool:
        event = "events.social.group.created"
        ends = [f"social publish {event}", f"chat handle {event}", "chat INSERT"]
        return any(way[0] == "gateway POST /api/contact/create-community" and way[-3:] == ends for way in ways)

    collector.wait(trace, root, is_whole)
    lines = [line for line in running.logs().splitlines() if trace in line]
    assert any("create-community" in line and f"trace_id={trace}" in line for line in lines), lines


async def test_what_panels_and_alerts_ask_for_is_served(running: Everything, http: httpx.AsyncClient) -> None:
    """Runs after the journeys, since metrics with labels appear with their first event."""
    alice = await new_person(running, http)
    await alice.call("POST", "/api/file/upload", files={"file": ("a.txt", b"nothing we take")})
    await alice.get("/api/videos")
    await http.get("/media/nothing.mp4")
    ends = time.monotonic() + 15  # a look at the consumers, and the first sweep
    while missing := not_served(running.metrics()):
        assert time.monotonic() < ends, missing
        await asyncio.sleep(0.2)


async def test_an_answer_does_not_wait_for_an_acknowledgement(http: httpx.AsyncClient) -> None:
    """40 ms each, if Nagle's algorithm were on."""
    seconds = []
    for _ in range(20):
        began = time.monotonic()
        await http.get("/openapi.json")
        seconds.append(time.monotonic() - began)
    assert statistics.median(seconds) < 0.03


async def test_nothing_acknowledged_is_lost_by_kill_9_of_everything(running: Everything) -> None:
    async with httpx.AsyncClient(base_url=running.urls[0]) as http:
        people = [await new_person(running, http) for _ in range(3)]
        await people[0].post("/api/user/set-profile", bio="just before")
        ended = (await FrontEnd(http).post("/api/login/login", **people[1].login))["atoken"]
        await FrontEnd(http, ended).post("/api/login/logout")
        running.kill()

    running.start()
    async with httpx.AsyncClient(base_url=running.urls[0]) as http:
        for person in people:
            await FrontEnd(http).post("/api/login/login", **person.login)
            assert (await FrontEnd(http, person.token).get(ME))["username"] == person.name
        assert (await FrontEnd(http, people[0].token).get(ME))["bio"] == "just before"
        await FrontEnd(http, ended).refused("GET", ME, 401, -20002)


async def test_stopping_leaves_no_process(running: Everything) -> None:
    """The last one: starting all once more would show no more than it did after kill -9."""
    family = find_family(running.pid)
    assert len(family) > 5

    assert running.stop() == 0

    wait_until_gone(family)
