"""api/push/* and the frames push.*: as users with browsers see them, and for callers who may not."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import social as graph
from tests.support.chat import until
from tests.support.chat_stack import Stack, running_stack
from tests.support.people import new_people
from tests.support.push_services import Browser, PushService, running_push_service
from tests.support.servers import Servers
from tests.support.sockets import Refusal, open_socket
from tests.support.user import Running as Users

API = "/api/push"


@pytest.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PushService]:
    async with running_push_service(tmp_path_factory.mktemp("push")) as running:
        yield running


@pytest.fixture(scope="module")
async def stack(
    servers: Servers, user: Users, service: PushService, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    settings = {
        "HITOK_PUSH_VAPID_KEY": "5c" * 32,
        "HITOK_PUSH_CA": service.ca,
        "HITOK_PUSH_PORTS": str(service.port),
        "HITOK_PUSH_PRIVATE_NETWORKS": "true",
        "HITOK_PUSH_DELAY_SECONDS": "0.2",
    }
    folder: Path = tmp_path_factory.mktemp("pushes")
    async with running_stack(servers, user, folder, "pushes", **settings) as stack:
        yield stack


def body(browser: Browser) -> dict[str, Any]:
    given = browser.subscription
    keys = {"p256dh": given["p256dh"], "auth": given["auth"]}
    return {"kind": "webpush", "address": given["address"], "keys": keys}


async def test_over_http_and_over_a_socket(stack: Stack, service: PushService) -> None:
    (anna, ben) = await new_people(stack.visitor, stack.users, 2)
    browser = Browser(service, "http")
    device = await ben.post(API + "/register", **body(browser))
    assert (device["kind"], device["origin"], device["current"]) == ("webpush", service.url, True)
    assert await ben.get(API + "/devices") == {"devices": [device]}
    assert await anna.get(API + "/devices") == {"devices": []}
    await anna.post(API + "/remove", device_id=device["device_id"])
    async with open_socket(stack.url, str(ben.token)) as socket:
        assert await socket.ask("push.list") == {"devices": [device]}
        assert await socket.ask("push.register", **body(browser)) == device
        assert await socket.ask("push.remove") == {}
        assert await socket.ask("push.list") == {"devices": []}
        with pytest.raises(Refusal) as refused:
            await socket.ask("push.register", **body(browser) | {"address": "https://10.0.0.1/x"})
        assert refused.value.code == "bad_request"
        settings = await socket.ask("push.set", content=True, quiet_from="22:00", quiet_until="07:00")
        assert settings == await ben.get(API + "/settings")
    assert (settings["content"], settings["quiet_from"], settings["quiet_until"]) == (True, "22:00", "07:00")
    assert (settings["kinds"], settings["time_zone"]) == (["unifiedpush", "webpush"], "UTC")
    assert (await ben.post(API + "/set-settings"))["quiet_from"] == ""
    for method, path in (("POST", "/register"), ("GET", "/devices"), ("POST", "/remove"), ("GET", "/settings")):
        await stack.visitor.refused(method, API + path, 401, -20001)
    for wrong, code in (({"kind": "fcm"}, 10129), ({"keys": {}}, 10001), ({"address": "https://localhost/x"}, 10001)):
        await ben.refused("POST", API + "/register", 400, code, json=body(browser) | wrong)
    for wrong in ({"quiet_from": "25:00"}, {"time_zone": "Mars/Base"}, {"muted_kinds": ["nonsense"]}):  # type: ignore[assignment]
        await ben.refused("POST", API + "/set-settings", 400, 10001, json=wrong)


async def test_a_message_reaches_the_browser_of_a_user_who_is_away(stack: Stack, service: PushService) -> None:
    (anna, ben) = await new_people(stack.visitor, stack.users, 2)
    await graph.add(stack.social, anna.id, ben.id)
    await graph.add(stack.social, ben.id, anna.id)
    away, here = Browser(service, "away"), Browser(service, "here")
    await ben.post(API + "/register", **body(away))
    await anna.post(API + "/register", **body(here))
    async with open_socket(stack.url, str(anna.token)) as socket:
        sent = await socket.send("hi", user_id=ben.id)

    async def arrived() -> Any:
        return away.requests

    await until(arrived)
    (pushed,) = away.received()
    assert pushed["data"]["conversation_id"] == sent["conversation_id"]
    assert not here.requests
