"""What a suspended user and the reporters notice: the login's answer, the closed socket, the notifications."""

from typing import Any

from gateway.ws.frames import Close
from tests.gateway.moderation.town import Town, case_of, decide, report
from tests.support.chat import until
from tests.support.people import Person
from tests.support.sockets import open_socket
from tests.support.user import PASSWORD, execute
from tests.support.video_people import publish


async def notices(person: Person, kind: str) -> list[dict[str, Any]]:
    page = await person.get("/api/chat/notifications", limit=50)
    return [each["subject"] for each in page["notifications"] if each["kind"] == kind]


async def test_a_suspension_closes_the_socket_and_refuses_requests_and_logins(town: Town) -> None:
    owner, reporter = await town.people(2)
    moderator = await town.moderator()
    await report(reporter, "user", id=owner.uid)
    (row,) = await execute(town.user, "SELECT phone FROM account WHERE id = :id", id=owner.id)
    async with open_socket(town.url, owner.token) as socket:
        act = await decide(moderator, await case_of(moderator, owner), "suspend", seconds=86_400, note="cool down")
        assert act["until"]
        assert await socket.closed() == Close.SESSION_REVOKED

        async def is_out() -> bool:
            return (await owner.call("GET", "/api/user/get-my-info")).status_code == 401

        await until(is_out)
    body = {"phone": row.phone, "password": PASSWORD}
    answer = await town.visitor.call("POST", "/api/v1/user/login", json=body)
    assert (answer.status_code, answer.json()["code"]) == (403, 100035)
    assert 86_000 < int(answer.headers["retry-after"]) <= 86_400
    await moderator.post("/api/moderation/reverse-act", act_id=act["act_id"])
    token = (await town.visitor.chat("POST", "/api/v1/user/login", json=body))["token"]
    back = owner.with_token(token)

    async def has_heard() -> bool:
        return bool(await notices(back, "moderation_reversed"))

    await until(has_heard)
    (told,) = await notices(back, "moderation")
    assert (told["act"], told["note"], told["act_id"]) == ("suspend", "cool down", act["act_id"])


async def test_reporters_hear_whether_anything_was_done_and_owners_what_and_why(town: Town) -> None:
    owner, first, second = await town.people(3)
    moderator = await town.moderator()
    for verb, outcome in (("dismiss", "dismissed"), ("hide", "acted")):
        video = await publish(owner)
        for reporter in (first, second):
            await report(reporter, "video", id=video["id"])
        await decide(moderator, await case_of(moderator, owner), verb, note="seen")

        async def all_have_heard(expected: str = outcome, video_id: str = video["id"]) -> bool:
            told = [await notices(reporter, "report_closed") for reporter in (first, second)]
            wanted = {"outcome": expected, "kind": "video", "subject_id": video_id}
            return all(wanted in subjects for subjects in told)

        await until(all_have_heard)
    (told,) = await notices(owner, "moderation")
    assert (told["act"], told["note"], told["subject_id"]) == ("hide", "seen", video["id"])
    assert moderator.uid not in str(told)


async def test_an_appeal_without_a_session_is_granted_and_told(town: Town) -> None:
    owner, reporter = await town.people(2)
    moderator, other = await town.moderator(), await town.moderator()
    await report(reporter, "user", id=owner.uid)
    (row,) = await execute(town.user, "SELECT phone FROM account WHERE id = :id", id=owner.id)
    await decide(moderator, await case_of(moderator, owner), "ban")
    login = {"phone": row.phone, "password": PASSWORD}
    await town.visitor.refused("POST", "/api/v1/user/login", 403, 100036, json=login)
    asked = "/api/moderation/appeal-by-password"
    appeal = await town.visitor.post(asked, **login, text="it was a joke")
    await town.visitor.refused("POST", asked, 409, 10089, json=login | {"text": "really"})
    await town.visitor.refused("POST", asked, 401, 10009, json=login | {"text": "x", "password": "wrong"})
    pages = (await other.get("/api/moderation/appeals", limit=100))["appeals"]
    (entry,) = [each for each in pages if each["appeal_id"] == appeal["appeal_id"]]
    assert (entry["act"]["verb"], entry["text"], entry["decided_at"]) == ("ban", "it was a joke", "")
    body = {"appeal_id": appeal["appeal_id"], "granted": True}
    await moderator.refused("POST", "/api/moderation/decide-appeal", 403, -20008, json=body)
    assert (await other.post("/api/moderation/decide-appeal", **body, answer="so it was"))["granted"]
    back = owner.with_token((await town.visitor.chat("POST", "/api/v1/user/login", json=login))["token"])
    own = (await back.get("/api/moderation/my-acts"))["acts"]
    assert [(act["verb"], act["moderator_id"], bool(act["reversed_at"])) for act in own] == [("ban", "", True)]

    async def has_heard() -> bool:
        return [told["answer"] for told in await notices(back, "appeal_decided")] == ["so it was"]

    await until(has_heard)
