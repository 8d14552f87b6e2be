"""Each route for the actors that moderation makes: suspended and banned users, and moderators."""

from typing import Any

from gateway.app import ENDPOINTS
from gateway.http.endpoint import Endpoint
from gateway.http.openapi_examples import request_of
from tests.gateway.moderation.test_reporting import say
from tests.gateway.moderation.town import Town, case_of, decide, report
from tests.support.chat import until
from tests.support.gateway import FrontEnd, is_chat_path, refusal_of
from tests.support.people import Person

ROUTES: list[Endpoint[Any]] = [handler.opt["endpoint"] for handler in ENDPOINTS]
# For roles 3 and 4; the others under this prefix are for everybody.
MODERATORS = {
    f"/api/moderation/{name}"
    for name in (
        "cases", "get-case", "claim-case", "release-case", "decide-case", "reverse-act", "acts", "appeals",
        "decide-appeal",
    )
}  # fmt: skip
FOR_ALL = {f"/api/moderation/{name}" for name in ("my-acts", "appeal", "appeal-by-password")}


async def call(front: FrontEnd, route: Endpoint[Any]) -> Any:
    given = request_of(route.params) if route.params.__struct_fields__ else {}
    options = {"params": given} if route.method == "GET" else {"json": given}
    return await front.call(route.method, route.paths[0], **options)


async def shut_out(town: Town, verb: str) -> Person:
    (person,) = await town.people(1)
    (reporter,) = await town.people(1)
    moderator = await town.moderator()
    await report(reporter, "user", id=person.uid)
    await decide(moderator, await case_of(moderator, person), verb, seconds=3_600)

    async def is_out() -> bool:
        return (await person.call("GET", "/api/user/get-my-info")).status_code == 401

    await until(is_out)
    return person


async def test_who_is_shut_out_is_refused_on_every_route_that_takes_a_token(town: Town) -> None:
    for verb in ("suspend", "ban"):
        person = await shut_out(town, verb)
        tried = 0
        for route in ROUTES:
            if route.auth:
                answer = await call(person, route)
                expected = (401, 100003) if is_chat_path(route.paths[0]) else (401, -20002)
                assert refusal_of(route.paths[0], answer) == expected, route.paths[0]
                tried += 1
        assert tried > 80


def test_every_route_of_moderation_is_for_somebody() -> None:
    paths = {route.paths[0] for route in ROUTES if route.paths[0].startswith("/api/moderation/")}
    assert paths == MODERATORS | FOR_ALL


async def test_the_queue_is_for_moderators(town: Town) -> None:
    (user,) = await town.people(1)
    members = [await town.moderator(role=2)]
    staff = [await town.moderator(), await town.moderator(role=4)]
    for route in ROUTES:
        if route.paths[0] in MODERATORS:
            for front in (user, *members):
                assert refusal_of(route.paths[0], await call(front, route)) == (403, -20008), route.paths[0]
            for front in staff:
                assert (await call(front, route)).status_code in (200, 404), route.paths[0]
            assert refusal_of(route.paths[0], await call(town.visitor, route)) == (401, -20001)


async def test_a_moderator_who_is_banned_moderates_no_more(town: Town) -> None:
    boss, moderator = await town.moderator(role=4), await town.moderator()
    await report(boss, "user", id=moderator.uid)
    await decide(boss, await case_of(boss, moderator), "ban")

    async def is_out() -> bool:
        return (await moderator.call("GET", "/api/moderation/cases")).status_code == 401

    await until(is_out)


async def test_a_moderator_reads_no_conversation_of_others(town: Town) -> None:
    a, b = await town.friends()
    moderator = await town.moderator()
    sent = await say(a, "between us", user_id=b.id)
    query = {"conversation_id": sent["conversation_id"]}
    await moderator.refused("GET", "/api/chat/messages", 404, 10061, params=query)
    body = {"to": query, "client_msg_id": sent["client_msg_id"], "content_type": "text", "body": {"text": "x"}}
    await moderator.refused("POST", "/api/chat/send", 404, 10061, json=body)
