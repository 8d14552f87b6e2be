"""Many clients reconnect at the same moment: few calls for all of them, and each gets its own answer."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from websockets.exceptions import ConnectionClosed

from gateway.ws import resume
from services.kit.errors import Unavailable
from tests.gateway.chat_stage import Stage, running_stage, until
from tests.support.servers import Servers
from tests.support.sockets import raw_socket, say_hello
from tests.support.user import Running

PATH = "/api/chat/ws"


@pytest.fixture(scope="module")
async def stage(servers: Servers, user: Running) -> AsyncIterator[Stage]:
    async with running_stage(servers, user, HITOK_CHAT_SOCKETS="100") as stage:
        yield stage


async def arrive(stage: Stage, ticket: str) -> str:
    """Whose `ready` it was, or the code it was closed with; and the conversations that it told."""
    async with raw_socket(stage.url, f"{PATH}?ticket={ticket}") as socket:
        try:
            await say_hello(socket)
        except ConnectionClosed:
            return str(await socket.closed())
        listed = [row["conversation_id"] for row in socket.ready["conversations"]]
        return " ".join([socket.ready["user_id"], *listed])


async def test_fifty_at_once_get_their_own_answers_in_few_calls(stage: Stage) -> None:
    people = await stage.people(10)
    expected = {each.id: f"{each.id} {stage.chat.create(int(each.id))}" for each in people}
    comers = people * 5
    tickets = await asyncio.gather(*map(stage.ticket, comers))
    stage.chat.hellos.clear()
    found = await asyncio.gather(*(arrive(stage, ticket) for ticket in tickets))
    assert found == [expected[each.id] for each in comers]
    assert len(stage.chat.hellos) <= 20, "calls for fifty hellos"


async def test_a_bad_ticket_among_good_ones_is_refused_alone(stage: Stage) -> None:
    people = await stage.people(5)
    good = await asyncio.gather(*map(stage.ticket, people))
    found = await asyncio.gather(*(arrive(stage, ticket) for ticket in [*good[:3], "forged", *good[3:]]))
    assert found.pop(3) == "4501"
    assert found == [each.id for each in people]


async def test_the_end_of_a_session_is_its_own_among_others(stage: Stage) -> None:
    people = await stage.people(4)
    tickets = await asyncio.gather(*map(stage.ticket, people))
    await people[1].post("/api/login/logout")
    found = await asyncio.gather(*(arrive(stage, ticket) for ticket in tickets))
    assert found.pop(1) == "4503"
    assert found == [people[0].id, people[2].id, people[3].id]


async def test_who_has_too_much_for_an_answer_to_many_is_asked_for_alone(stage: Stage) -> None:
    anna, ben = await stage.people(2)
    ids = [str(stage.chat.create(int(anna.id))) for _ in range(resume.FIRST_PAGE + 5)]
    stage.chat.crowded.add(int(anna.id))
    tickets = await asyncio.gather(stage.ticket(anna), stage.ticket(ben))
    found = await asyncio.gather(*(arrive(stage, ticket) for ticket in tickets))
    assert found == [" ".join([anna.id, *ids[: resume.FIRST_PAGE]]), ben.id]
    assert len(stage.gateway.sockets.hub.conversations.keys() & set(map(int, ids))) in (0, len(ids))


async def test_a_batch_that_fails_by_one_of_them_fails_no_other(stage: Stage) -> None:
    people = await stage.people(6)
    stage.chat.broken.add(int(people[2].id))
    tickets = await asyncio.gather(*map(stage.ticket, people))
    found = await asyncio.gather(*(arrive(stage, ticket) for ticket in tickets))
    assert found == [person.id if person is not people[2] else "4013" for person in people]


async def test_who_gives_up_amid_a_batch_disturbs_nobody(stage: Stage) -> None:
    anna, ben = await stage.people(2)
    tickets = await asyncio.gather(stage.ticket(anna), stage.ticket(ben))
    with stage.chat.holding("BatchListConversations"):
        async with raw_socket(stage.url, f"{PATH}?ticket={tickets[0]}") as socket:
            await socket.say("hello", "1", version=1)
            await until(lambda: "BatchListConversations" in stage.chat.waiting)
        other = asyncio.create_task(arrive(stage, tickets[1]))
        await until(lambda: int(ben.id) in stage.gateway.sockets.hub.users)
    assert await other == ben.id
    await until(lambda: not stage.gateway.sockets.hub.users)


async def test_more_than_may_wait_are_told_to_come_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    people = await stage.people(4)
    tickets = await asyncio.gather(*map(stage.ticket, people))
    first_pages = stage.gateway.sockets._first_pages
    monkeypatch.setattr(first_pages._batcher, "_max_waiting", 0)
    async with raw_socket(stage.url, f"{PATH}?ticket={tickets[0]}") as socket:
        await socket.say("hello", "1", version=1)
        assert (await socket.event("error"))["retryable"]
        assert await socket.closed() == 4013
    monkeypatch.undo()
    assert await arrive(stage, tickets[1]) == people[1].id


async def test_a_chat_that_answers_nobody_lets_each_come_again(stage: Stage) -> None:
    people = await stage.people(5)
    tickets = await asyncio.gather(*map(stage.ticket, people))
    stage.chat.faults["BatchListConversations"] = Unavailable()
    try:
        found = await asyncio.gather(*(arrive(stage, ticket) for ticket in tickets))
    finally:
        del stage.chat.faults["BatchListConversations"]
    assert set(found) == {"4013"}
