"""The operator decides cases on the command line, and takes decisions back."""

import re

from tests.support.moderation import ADMIN, cases_of, claim, details, new_caller, report
from tests.support.moderation import video_of as video
from tests.support.user import Running, email_account, email_login, execute, new_name, refusal
from tests.user.test_admin import invoke


async def test_decide_and_reverse(user: Running) -> None:
    name, reporter, moderator = new_name(), await new_caller(user), await new_caller(user, ADMIN)
    owner = (await email_account(user, name)).user_id
    await report(user, reporter, video(owner, 4_242))
    (case,) = await cases_of(user, moderator, owner)
    await claim(user, moderator, case.case_id)
    listed = await invoke(user, "moderation", "cases", "--limit", "100")
    assert f"{case.case_id}\tvideo 4242\tof {owner}\t1 reports" in listed.output
    done = await invoke(
        user, "moderation", "decide", str(case.case_id), "suspend", "--note", "enough", "--seconds", "600"
    )
    (act_id,) = re.findall(r"done: act (\d+)", done.output)
    assert await refusal(email_login(user, name)) == "ACCOUNT_SUSPENDED"
    shown = (await details(user, moderator, case.case_id)).acts[0]
    assert (shown.verb, shown.moderator_id, shown.note) == ("suspend", 0, "enough")
    assert f"{act_id}\t" in (await invoke(user, "moderation", "acts")).output
    assert (await invoke(user, "moderation", "reverse", act_id)).code == 0
    assert await refusal(email_login(user, name)) == ""
    written = await execute(
        user, "SELECT act, actor_id, operator FROM audit WHERE details ->> 'act_id' = :id ORDER BY id", id=act_id
    )
    assert [tuple(row) for row in written] == [
        ("moderation.suspend", None, "tester"),
        ("moderation.reverse.suspend", None, "tester"),
    ]


async def test_what_cannot_be_is_told_in_a_line(user: Running) -> None:
    for words in (("decide", "1", "dismiss"), ("decide", "1", "praise"), ("reverse", "1")):
        ended = await invoke(user, "moderation", *words)
        assert ended.code == 2 and ended.errors.count("\n") == 1, ended


async def test_the_operator_acts_on_what_nobody_reported(user: Running) -> None:
    owner = (await email_account(user, new_name())).user_id
    words = ("moderation", "act", "video", "4243", "hide", "--owner", str(owner), "--note", "asked by the court")
    (act_id,) = re.findall(r"done: act (\d+)", (await invoke(user, *words)).output)
    event = "SELECT data FROM outbox WHERE subject = 'events.user.moderation.hidden' AND data ->> 'subject_id' = '4243'"
    ((data,),) = await execute(user, event)
    assert (data["kind"], data["user_id"]) == ("video", str(owner))
    again = await invoke(user, *words)
    assert re.findall(r"done: act (\d+)", again.output) != [act_id], "a case of its own, since the first is closed"
    (written,) = await execute(
        user, "SELECT act, operator, reason FROM audit WHERE details ->> 'act_id' = :id", id=act_id
    )
    assert tuple(written) == ("moderation.hide", "tester", "asked by the court")
    assert (await invoke(user, "moderation", "reverse", act_id)).code == 0
    for wrong in (("act", "car", "1", "hide", "--owner", str(owner)), ("act", "video", "1", "hide", "--owner", "1")):
        ended = await invoke(user, "moderation", *wrong)
        assert ended.code == 2 and ended.errors.count("\n") == 1, ended
