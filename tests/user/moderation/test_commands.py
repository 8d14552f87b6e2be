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
