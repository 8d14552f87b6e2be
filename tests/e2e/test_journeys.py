"""`make run`, and what a person does with it: both families, both ports, and the next day."""

import statistics
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.deploy.runs import wait_until_gone
from tests.e2e.everything import Everything, everything
from tests.e2e.people import Person, register, register_by_phone
from tests.support.gateway import FrontEnd
from tests.support.servers import find_family, temporary_folder
from tests.support.user import mailed_code

ME = "/api/user/get-my-info"


@pytest.fixture(scope="module")
def running() -> Iterator[Everything]:
    with temporary_folder() as folder, everything(folder / "var") as running:
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
