"""hichat's history and conversations over HTTP, beside its socket."""

from collections.abc import AsyncIterator

import pytest

from tests.gateway.chat_stage import Stage, running_stage
from tests.gateway.ws.dialects.clients import dialect
from tests.support.servers import Servers
from tests.support.user import Running

LOG = "/v1/im/chatlog"
START = 1_700_000_000_000  # Unix milliseconds


@pytest.fixture(scope="module")
async def stage(servers: Servers, user: Running) -> AsyncIterator[Stage]:
    async with running_stage(servers, user) as stage:
        yield stage


async def test_a_log_is_read_by_time_and_by_message(stage: Stage) -> None:
    anna, ben = await stage.people(2)
    id = stage.chat.create(int(anna.id), int(ben.id))
    stage.chat.conversations[id].direct = True
    for number in range(150):
        message = await stage.chat.write(id, int(ben.id), str(number), b'{"text":"%d"}' % number)
        message.created_at = START + number
    newest = (await anna.social("GET", LOG, params={"conversationId": id, "count": 2}))["list"]
    assert newest[0] == {
        "id": str(message.message_id),
        "conversationId": str(id),
        "sendId": ben.id,
        "recvId": anna.id,
        "msgType": 1,
        "msgContent": "149",
        "chatType": 1,
        "sendTime": (START + 149) * 1_000_000,
    }
    assert [each["msgContent"] for each in newest] == ["149", "148"]
    between = {"startSendTime": (START + 11) * 1_000_000, "endSendTime": (START + 8) * 1_000_000}
    found = (await anna.social("GET", LOG, params={"conversationId": id, **between}))["list"]
    assert [each["msgContent"] for each in found] == ["10", "9", "8"]
    first = stage.chat.conversations[id].messages[0].message_id
    found = (await anna.social("GET", LOG, params={"conversationId": id, "msgId": first}))["list"]
    assert [each["msgContent"] for each in found] == ["0"]
    cleo = await stage.person()
    assert (await cleo.call("GET", LOG, params={"conversationId": id})).status_code == 404


async def test_who_has_read_a_message(stage: Stage) -> None:
    anna, ben, cleo = await stage.people(3)
    id = stage.chat.create(int(anna.id), int(ben.id), int(cleo.id))
    await stage.say(id, anna, "1")
    stage.chat.conversations[id].read[int(ben.id)] = 1
    message_id = stage.chat.conversations[id].messages[0].message_id
    for query in ({"msgId": message_id}, {"msgId": message_id, "conversationId": id}):
        answer = await anna.social("GET", f"{LOG}/readRecords", params=query)
        assert answer == {"reads": [ben.id], "unReads": [cleo.id]}
    other = await stage.person()
    assert (await other.call("GET", f"{LOG}/readRecords", params={"msgId": message_id})).status_code == 404


async def test_conversations_are_listed_and_marked_as_read(stage: Stage) -> None:
    anna, ben = await stage.people(2)
    set_up = {"sendId": anna.id, "recvId": ben.id, "chatType": 1}
    assert await anna.social("POST", "/v1/im/setup/conversation", json=set_up) == {}
    for wrong, status in (({"sendId": ben.id}, 403), ({"recvId": "7"}, 404), ({"chatType": 3}, 400)):
        answer = await anna.call("POST", "/v1/im/setup/conversation", json=set_up | wrong)
        assert answer.status_code == status
    async with dialect(stage.url, "B2", ben.token) as client:
        await client.say(anna.id, "hi")
    listed = (await anna.social("GET", "/v1/im/conversation"))["conversationList"]
    ((id, state),) = listed.items()
    assert state == {"conversationId": id, "chatType": 1, "isShow": True, "seq": 1, "read": 0}
    change = {"conversationList": {id: {"read": 1}}}
    assert await anna.social("PUT", "/v1/im/conversation", json=change) == {}
    assert (await anna.social("GET", "/v1/im/conversation"))["conversationList"][id]["read"] == 1
    bad = await anna.call("PUT", "/v1/im/conversation", json={"conversationList": {"x": {"read": 1}}})
    assert bad.status_code == 400
