"""Messages to users who are away, from the commit to what their browser decrypts."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from services.chat.away import queue
from services.chat.away.drivers.encryption import MAX_BODY
from tests.chat.away.stage import Stage, told
from tests.support.chat import (
    answer,
    deliver,
    direct,
    execute,
    friends,
    group,
    mute,
    read,
    recall,
    send,
    until,
)
from tests.support.push_services import Answer, verify_vapid
from tests.support.social import Running as Social
from tests.support.social import add, block, group_with, new_users


async def test_a_message_to_a_user_who_is_away(stage: Stage, social: Social) -> None:
    a, b = await friends(social)
    mine, theirs = await stage.subscribe(a), await stage.subscribe(b)
    sent = await send(stage.chat, a, direct(b), "secret words")
    await stage.settle()
    (pushed,), (request,) = theirs.received(), theirs.requests
    data = {"type": "message", "conversation_id": str(sent.conversation_id), "seq": 1, "count": 1, "badge": 1}
    assert pushed == {
        "title": "hitok", "body": "New message", "badge": 1, "tag": request.headers["topic"], "data": data
    }  # fmt: skip
    claims = verify_vapid(request, stage.service.url)
    assert claims["sub"] == "mailto:ops@example.com"
    assert 0 < claims["exp"] - datetime.now(UTC).timestamp() < 24 * 3_600
    headers = {name: request.headers[name] for name in ("content-encoding", "urgency")}
    assert headers == {"content-encoding": "aes128gcm", "urgency": "high"}
    assert 86_000 < int(request.headers["ttl"]) <= 86_400
    assert len(request.headers["topic"]) <= 32
    assert b"secret" not in request.body
    assert not mine.requests  # a sender is not told of their own message
    await stage.settle()
    assert len(theirs.requests) == 1


async def test_without_the_clock_of_the_tests(stage: Stage, social: Social, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tasks of the service do it by themselves, in time."""
    monkeypatch.setattr(stage.chat.service.away.recorder, "_delay", 0.1)
    monkeypatch.setattr(stage.worker, "_delay", 0.1)
    a, b = await friends(social)
    browser = await stage.subscribe(b)
    await send(stage.chat, a, direct(b))

    async def arrived() -> Any:
        return browser.requests

    await until(arrived)


@pytest.mark.parametrize("when", ["before planning", "before sending"])
@pytest.mark.parametrize("what", ["read", "delivered", "recalled", "muted", "blocked", "device removed"])
async def test_nothing_is_pushed_that_is_known_or_no_longer_wanted(
    stage: Stage, social: Social, what: str, when: str
) -> None:
    a, b = await friends(social)
    browser = await stage.subscribe(b)
    sent = await send(stage.chat, a, direct(b))
    id = sent.conversation_id
    if when == "before sending":
        await stage.plan()
        assert len(await stage.waiting(b)) == 1
    match what:
        case "read":
            await read(stage.chat, b, id, 1)
        case "delivered":
            await deliver(stage.chat, b, id, 1)
        case "recalled":
            await recall(stage.chat, a, id, 1)
        case "muted":
            await mute(stage.chat, b, id)
        case "blocked":
            await block(social, b, a)
            data = {"actor_id": str(b), "user_id": str(a)}
            await stage.hear("social.user.blocked", **data)
        case "device removed":
            await execute(stage.chat, "DELETE FROM push_device WHERE user_id = :b", b=b)
    await stage.settle()
    assert not browser.requests
    assert not await stage.waiting(b)


async def test_what_was_read_is_not_counted(stage: Stage, social: Social) -> None:
    a, b = await friends(social)
    browser = await stage.subscribe(b)
    for _ in range(3):
        sent = await send(stage.chat, a, direct(b))
    await stage.plan()
    await read(stage.chat, b, sent.conversation_id, 2)
    await stage.send()
    assert told(browser) == [("New message", 1)]
    assert browser.received()[0]["badge"] == 1


async def test_a_mute_that_has_ended_mutes_no_more(stage: Stage, social: Social) -> None:
    a, b = await friends(social)
    browser = await stage.subscribe(b)
    sent = await send(stage.chat, a, direct(b))
    await mute(stage.chat, b, sent.conversation_id)
    await stage.settle()
    past = "UPDATE conversation_member SET muted_until = now() - interval '1 s' WHERE user_id = :b"
    await execute(stage.chat, past, b=b)
    await send(stage.chat, a, direct(b))
    await stage.settle()
    assert [count for _, count in told(browser)] == [1]  # what came while it was muted is not told later


async def test_a_request_is_not_pushed(stage: Stage, social: Social) -> None:
    a, b = new_users(2)
    await add(social, a, b)
    browser = await stage.subscribe(b)
    sent = await send(stage.chat, a, direct(b))
    await stage.settle()
    assert not browser.requests
    await answer(stage.chat, b, sent.conversation_id, accept=True)
    await send(stage.chat, a, direct(b))
    await stage.settle()
    assert told(browser) == [("New message", 1)]


async def test_fifty_messages_at_once(stage: Stage, social: Social) -> None:
    """While three workers plan and send: each device hears of each message once."""
    a, b, c = await friends(social, 3)
    group_id = await group_with(social, a, b, c)
    phones = [await stage.subscribe(b, 1), await stage.subscribe(b, 2), await stage.subscribe(c, 3)]

    async def work() -> None:
        for _ in range(20):
            await stage.settle()

    sends = [send(stage.chat, a, group(group_id), f"{number}") for number in range(1, 50)]
    sent = await send(stage.chat, a, group(group_id), "0")
    await asyncio.gather(*sends, *(work() for _ in range(3)))
    await stage.settle()
    for phone in phones:
        assert sum(count for _, count in told(phone)) == 50
        assert max(each["data"]["seq"] for each in phone.received()) == 50
        assert {each["data"]["conversation_id"] for each in phone.received()} == {str(sent.conversation_id)}
    topics = [{request.headers["topic"] for request in phone.requests} for phone in phones]
    assert [len(each) for each in topics] == [1, 1, 1]
    assert len(set.union(*topics)) == 3  # no push service can tell that two devices are in one conversation


async def test_a_burst_is_one_push(stage: Stage, social: Social) -> None:
    a, b = await friends(social)
    browser = await stage.subscribe(b)
    for number in range(5):
        await send(stage.chat, a, direct(b))
        if number % 2:
            await stage.plan()
    await stage.settle()
    assert told(browser) == [("5 new messages", 5)]


async def test_a_worker_that_dies_between_sending_and_recording(
    stage: Stage, social: Social, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = await friends(social)
    browser = await stage.subscribe(b)
    await send(stage.chat, a, direct(b))
    await stage.plan()

    async def die(*_: object) -> None:
        raise ConnectionError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(queue, "settle", die)
        with pytest.raises(ConnectionError, match="killed"):
            await stage.send()
    assert len(browser.requests) == 1
    await stage.settle()
    assert len(browser.requests) == 1  # another worker leaves it alone while the lease holds
    await execute(stage.chat, "UPDATE away_push SET due_at = now() WHERE sending")
    await queue.forget_lost(stage.chat.service.database)
    await stage.settle()
    assert len(browser.requests) == 1
    assert not await stage.waiting(b)
    await send(stage.chat, a, direct(b))
    await stage.settle()
    assert [count for _, count in told(browser)] == [1, 1]


async def test_it_is_tried_again_and_tells_what_came_meanwhile(stage: Stage, social: Social) -> None:
    a, b = await friends(social)
    browser = await stage.subscribe(b)
    stage.service.answer = lambda _: Answer(429, [("Retry-After", "900")])
    await send(stage.chat, a, direct(b))
    await stage.settle()
    (row,) = await stage.waiting(b)
    assert row.attempts == 1
    query = "SELECT extract(epoch FROM due_at - now()) AS wait FROM away_push WHERE id = :id"
    assert (await execute(stage.chat, query, id=row.id))[0].wait > 800
    await send(stage.chat, a, direct(b))
    await stage.plan()
    assert [(row.first_seq, row.last_seq) for row in await stage.waiting(b)] == [(1, 2)]
    stage.service.answer = lambda _: Answer()
    await stage.send()
    assert told(browser)[-1] == ("2 new messages", 2)
    assert not await stage.waiting(b)


async def test_a_push_that_fails_while_another_waits_joins_it(stage: Stage, social: Social) -> None:
    a, b = await friends(social)
    browser = await stage.subscribe(b)
    await send(stage.chat, a, direct(b))
    await stage.plan()
    stage.service.answer = lambda _: Answer(503, seconds=0.3)
    sending = asyncio.create_task(stage.send())

    async def arrived() -> Any:
        return browser.requests

    await until(arrived)
    await send(stage.chat, a, direct(b))
    await stage.plan()  # a second row waits while the first is being sent
    assert len(await stage.waiting(b)) == 2
    await sending
    stage.service.answer = lambda _: Answer()
    assert [(row.first_seq, row.last_seq) for row in await stage.waiting(b)] == [(1, 2)]
    await stage.send()
    assert told(browser)[-1] == ("2 new messages", 2)


@pytest.mark.parametrize(("status", "left"), [(404, 0), (410, 0), (400, 1), (403, 1), (413, 1), (307, 1)])
async def test_answers_that_end_a_push_or_its_device(stage: Stage, social: Social, status: int, left: int) -> None:
    a, b = await friends(social)
    browser = await stage.subscribe(b)
    stage.service.answer = lambda _: Answer(status, [("Location", stage.service.url + "/elsewhere")])
    await send(stage.chat, a, direct(b))
    await stage.settle()
    assert len(await stage.list_devices(b)) == left
    assert not await stage.waiting(b)
    assert len(browser.requests) == 1
    assert not stage.service.of("/elsewhere")


async def test_an_old_push_is_given_up(stage: Stage, social: Social) -> None:
    a, b = await friends(social)
    browser = await stage.subscribe(b)
    await send(stage.chat, a, direct(b))
    await stage.plan()
    age = "UPDATE away_push SET created_at = now() - interval '25 hours' WHERE user_id = :b"
    await execute(stage.chat, age, b=b)
    await stage.send()
    assert not browser.requests
    assert not await stage.waiting(b)


async def test_what_was_written_is_shown_by_wish_and_never_longer_than_a_push(stage: Stage, social: Social) -> None:
    a, b = await friends(social)
    browser = await stage.subscribe(b)
    await stage.wish(b, content=True)
    await send(stage.chat, a, direct(b), "你好 " * 2_000)
    await stage.settle()
    await send(stage.chat, a, direct(b), {"n": 1}, kind="custom")
    await stage.settle()
    first, second = browser.received()
    assert first["body"].startswith("你好 你好")
    assert len(first["body"]) == 200
    assert first["data"]["sender_id"] == str(a)
    assert second["body"] == "New message"
    assert all(len(request.body) <= MAX_BODY for request in browser.requests)
