"""Two processes of everything, the gateways on the same ports: clients notice neither that, nor the death of one."""

import json
import os
import signal
import uuid
from collections.abc import Iterator

import httpx
import pytest

from tests.deploy.runs import wait_until_gone
from tests.e2e.everything import Everything, everything
from tests.e2e.people import Person, register
from tests.support.servers import temporary_folder
from tests.support.sockets import open_socket
from tests.support.user import mailed_code

NO_KEPT = httpx.Limits(max_keepalive_connections=0)  # each request on a connection of its own, so at either gateway


@pytest.fixture(scope="module")
def running() -> Iterator[Everything]:
    with temporary_folder() as folder, everything(folder / "var", 0, HITOK_PROCESSES="2") as running:
        yield running


def own_url(running: Everything, label: str) -> str:
    settings = json.loads((running.var / "settings" / f"{label}.json").read_bytes())
    return f"http://127.0.0.1:{settings['HITOK_GATEWAY_OWN_PORT']}"


async def friends(running: Everything, http: httpx.AsyncClient) -> tuple[Person, Person]:
    alice, ben = [await register(http, lambda address: mailed_code(running.var, address)) for _ in range(2)]
    for one, other in ((alice, ben), (ben, alice)):
        await one.post("/api/contact/add-friend", username=other.name)
    return alice, ben


async def send(sender: Person, user_id: str, text: str) -> None:
    body = {"to": {"user_id": user_id}, "client_msg_id": str(uuid.uuid4()), "content_type": "text"}
    await sender.post("/api/chat/send", **body, body={"text": text})


async def test_the_sockets_of_both_gateways_hear_what_either_is_sent(running: Everything) -> None:
    async with httpx.AsyncClient(base_url=running.urls[0], timeout=10, limits=NO_KEPT) as http:
        alice, ben = await friends(running, http)
        ben_id = (await ben.get("/api/user/get-my-info"))["id"]
        one, other = (own_url(running, label) for label in ("gateway", "gateway-2"))
        async with open_socket(one, ben.token) as first, open_socket(other, ben.token) as second:
            texts = {f"message {number}" for number in range(8)}
            for text in sorted(texts):
                await send(alice, ben_id, text)
            for socket in (first, second):
                assert {(await socket.event("message"))["body"]["text"] for _ in texts} == texts
        for url in (one, other):  # each has its own figures
            answer = await http.get(f"{url}/metrics")
            assert "hitok_http_seconds_count{" in answer.text


async def test_one_of_two_may_be_killed(running: Everything) -> None:
    async with httpx.AsyncClient(base_url=running.urls[0], timeout=10, limits=NO_KEPT) as http:
        alice, ben = await friends(running, http)
        ben_id = (await ben.get("/api/user/get-my-info"))["id"]
        labels = ["gateway-2", "chat", "social-2", "user"]
        old = {label: running.pid_of(label) for label in labels}
        for pid in old.values():
            os.kill(pid, signal.SIGKILL)
        wait_until_gone(list(old.values()))
        for number in range(10):
            await send(alice, ben_id, f"still there {number}")
            await alice.get("/api/user/get-user-info", id=ben_id)
        running.wait_until(lambda: all(running.is_healthy(label) for label in labels))
        assert all(running.pid_of(label) != pid for label, pid in old.items())
        await send(alice, ben_id, "all here again")


def test_it_stops_all_of_them(running: Everything) -> None:
    assert running.stop() == 0
