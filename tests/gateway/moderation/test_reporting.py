"""A user reports what they see, of every kind; what they do not see answers as if it did not exist."""

import json
import uuid
from typing import Any

from tests.gateway.moderation.town import Town, case_of, decide, report
from tests.support import social as graph
from tests.support.people import Person
from tests.support.video_people import comment, heard, publish, upload

NO_VIDEO, NO_COMMENT, NO_USER, NO_GROUP = (404, 10017), (404, 10018), (404, 10011), (404, 10019)
NO_MESSAGE, NO_CONVERSATION = (404, 10006), (404, 10061)
CREATE = "/api/report/create-report"


async def say(sender: Person, text: str, **to: Any) -> dict[str, Any]:
    sent: dict[str, Any] = await sender.post(
        "/api/chat/send",
        to={name: str(id) for name, id in to.items()},
        client_msg_id=str(uuid.uuid4()),
        content_type="text",
        body={"text": text},
    )
    return sent


async def refused(reporter: Person, expected: tuple[int, int], **what: Any) -> None:
    await reporter.refused("POST", CREATE, *expected, json={"reason": "spam", **what})


async def test_a_video_and_what_the_moderator_sees_after_its_author_deleted_it(town: Town) -> None:
    owner, reporter = await town.people(2)
    moderator = await town.moderator()
    video = await publish(owner, title="horrible", description="really")
    report_id = await report(reporter, "video", "violence", id=video["id"], note="at 0:10")
    await owner.post("/api/videos/delete-video", video_id=video["id"])
    case = await case_of(moderator, owner)
    assert case["snapshot"]["title"] == "horrible" and case["snapshot"]["description"] == "really"
    assert case["subject"]["id"] == video["id"] and case["state"] == "open" and case["report_count"] == 1
    claimed = await moderator.post("/api/moderation/claim-case", case_id=case["case_id"])
    assert (claimed["state"], claimed["claimed_by"]) == ("claimed", moderator.uid)
    details = await moderator.get("/api/moderation/get-case", case_id=case["case_id"])
    (filed,) = details["reports"]
    assert (filed["report_id"], filed["reporter_id"], filed["note"]) == (report_id, reporter.uid, "at 0:10")
    act = await decide(moderator, case, "dismiss", note="gone already")
    assert (act["verb"], act["moderator_id"], act["note"]) == ("dismiss", moderator.uid, "gone already")
    (own,) = (await reporter.get("/api/report/my-reports"))["reports"]
    assert (own["report_id"], own["state"], own["kind"], own["id"]) == (report_id, "closed", "video", video["id"])


async def test_a_comment(town: Town) -> None:
    owner, author, reporter = await town.people(3)
    video = await publish(owner)
    comment_id = await comment(author, video["id"], "vile")
    await author.post("/api/videos/edit-comment", comment_id=comment_id, content="kind")
    await report(reporter, "comment", id=comment_id)
    case = await case_of(await town.moderator(), author)
    assert json.loads(case["snapshot"]["content"]) == "kind" and case["snapshot"]["earlier"] == '"vile"'
    assert case["snapshot"]["video_id"] == video["id"]


async def test_a_user_and_a_group(town: Town) -> None:
    owner, reporter = await town.people(2)
    moderator = await town.moderator()
    await owner.post("/api/user/set-profile", bio="buy pills")
    await report(reporter, "user", id=owner.uid)
    case = await case_of(moderator, owner)
    assert (case["snapshot"]["username"], case["snapshot"]["bio"]) == (owner.name, "buy pills")
    await decide(moderator, case, "dismiss")
    group = await graph.create_group(town.social, owner.id, name="pills")
    await report(reporter, "group", id=str(group))
    assert (await case_of(moderator, owner))["snapshot"]["name"] == "pills"


async def test_a_message_by_those_who_see_it(town: Town) -> None:
    a, b = await town.friends()
    (stranger,) = await town.people(1)
    moderator = await town.moderator()
    sent = await say(a, "a threat", user_id=b.id)
    name = {"kind": "message", "conversation_id": sent["conversation_id"], "seq": sent["seq"]}
    await report(b, **name)
    case = await case_of(moderator, a)
    assert json.loads(case["snapshot"]["body"]) == {"text": "a threat"}
    subject = {key: case["subject"][key] for key in ("id", "conversation_id", "seq")}
    assert subject == {"id": sent["message_id"], "conversation_id": sent["conversation_id"], "seq": sent["seq"]}
    await refused(stranger, NO_CONVERSATION, **name)
    await refused(moderator, NO_CONVERSATION, **name)
    await refused(stranger, NO_CONVERSATION, **name | {"conversation_id": "7"})
    await refused(b, NO_MESSAGE, **name | {"seq": 99})


async def test_what_one_cannot_see_cannot_be_reported(town: Town) -> None:
    owner, stranger, blocked = await town.people(3)
    await graph.block(town.social, owner.id, blocked.id)
    for visibility in ("friends", "private"):
        video = await publish(owner, visibility=visibility)
        comment_id = await comment(owner, video["id"])
        for reporter in (stranger, blocked):
            await refused(reporter, NO_VIDEO, kind="video", id=video["id"])
            await refused(reporter, NO_COMMENT, kind="comment", id=comment_id)
    await refused(stranger, NO_VIDEO, kind="video", id="1")
    await refused(stranger, NO_COMMENT, kind="comment", id="1")
    await refused(stranger, NO_USER, kind="user", id="1")
    await refused(stranger, NO_GROUP, kind="group", id=str(2**50))


async def test_a_report_that_cannot_be(town: Town) -> None:
    owner, reporter = await town.people(2)
    await refused(reporter, (400, 10001), kind="planet", id=owner.uid)
    await refused(reporter, (400, 10004), kind="user")
    await refused(reporter, (400, 10004), kind="message", conversation_id="1")
    await refused(reporter, (400, 10001), kind="user", id=owner.uid, reason="boredom")
    await refused(reporter, (400, 10001), kind="user", id=owner.uid, note="x" * 501)
    await refused(owner, (400, 10080), kind="user", id=owner.uid)


async def test_the_same_report_twice_is_one(town: Town) -> None:
    owner, reporter = await town.people(2)
    first = await reporter.post(CREATE, kind="user", id=owner.uid, reason="hate")
    again = await reporter.post(CREATE, kind="user", id=owner.uid, reason="hate", note="still")
    assert first == {"report_id": first["report_id"], "duplicate": False}
    assert again == {"report_id": first["report_id"], "duplicate": True}


async def test_a_long_text_of_many_bytes_is_cut_to_the_bound(town: Town) -> None:
    owner, reporter = await town.people(2)
    video = await publish(owner)
    comment_id = await comment(owner, video["id"], "字" * 2_700)
    await report(reporter, "comment", id=comment_id)
    assert (await case_of(await town.moderator(), owner))["snapshot"]["content"].startswith('"字字')


async def test_users_are_refused_the_queue_and_visitors_everything(town: Town) -> None:
    (person,) = await town.people(1)
    for path in ("cases", "get-case?case_id=1", "acts"):
        await person.refused("GET", f"/api/moderation/{path}", 403, -20008)
        await town.visitor.refused("GET", f"/api/moderation/{path}", 401, -20001)
    for path in ("claim-case", "release-case", "decide-case"):
        body = {"case_id": "1", "verb": "dismiss"}
        await person.refused("POST", f"/api/moderation/{path}", 403, -20008, json=body)
        await town.visitor.refused("POST", f"/api/moderation/{path}", 401, -20001, json=body)
    body = {"kind": "user", "id": person.uid, "reason": "spam"}
    await town.visitor.refused("POST", CREATE, 401, -20001, json=body)
    await town.visitor.refused("GET", "/api/report/my-reports", 401, -20001)


async def test_a_snapshot_holds_no_signature_of_a_private_file(town: Town) -> None:
    a, b = await town.friends()
    moderator = await town.moderator()
    await heard(town.media, town.social, a.id, b.id)
    video = await publish(a, video_path=await upload(a, town.media), visibility="friends")
    await report(b, "video", id=video["id"])
    snapshot = (await case_of(moderator, a))["snapshot"]
    assert "/media/" in snapshot["video_url"] and "sig=" not in json.dumps(snapshot)
