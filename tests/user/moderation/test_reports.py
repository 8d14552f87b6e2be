"""Reports and the moderators' queue: docs/moderation.md."""

import asyncio
import itertools
from typing import Any

import pytest

from protos.user.v1 import moderation_pb2 as pb
from services.kit.context import Caller
from services.user.moderation.reports import MAX_SNAPSHOT
from tests.support.moderation import ADMIN, call, cases_of, claim, decide, delete_account, details, new_caller, report
from tests.support.moderation import video_of as video
from tests.support.user import PASSWORD, Running, acting, anonymous, execute, outcomes, refusal

_ids = itertools.count(1_000)


def new_id() -> int:
    return next(_ids)


async def test_fifty_identical_reports_at_once_are_one(user: Running) -> None:
    owner, reporter, moderator = await new_caller(user), await new_caller(user), await new_caller(user, ADMIN)
    subject = video(owner, new_id())
    made = await asyncio.gather(*(report(user, reporter, subject) for _ in range(50)))
    assert len({answer.report_id for answer in made}) == 1
    assert sorted(answer.duplicate for answer in made) == [False] + [True] * 49
    (case,) = await cases_of(user, moderator, owner.user_id)
    assert (case.report_count, len((await details(user, moderator, case.case_id)).reports)) == (1, 1)


async def test_reports_of_many_users_at_once_make_one_case(user: Running) -> None:
    owner, moderator = await new_caller(user), await new_caller(user, ADMIN)
    reporters = [await new_caller(user) for _ in range(5)]
    subject = video(owner, new_id())
    await asyncio.gather(*(report(user, caller, subject, why) for caller in reporters for why in ("spam", "hate")))
    (case,) = await cases_of(user, moderator, owner.user_id)
    assert case.report_count == 10
    found = (await details(user, moderator, case.case_id)).reports
    assert {(each.reporter_id, each.reason) for each in found} == {
        (caller.user_id, why) for caller in reporters for why in ("spam", "hate")
    }


async def test_a_case_keeps_what_was_seen_first_and_a_report_what_differs(user: Running) -> None:
    owner, first, second, moderator = [await new_caller(user, role) for role in (0, 0, 0, ADMIN)]
    id = new_id()
    await report(user, first, video(owner, id, "one"), note="look")
    await report(user, second, video(owner, id, "two"))
    (case,) = await cases_of(user, moderator, owner.user_id)
    found = (await details(user, moderator, case.case_id)).reports
    assert case.subject.snapshot == b'{"title":"one"}'
    assert [(each.note, each.snapshot) for each in found] == [("", b'{"title":"two"}'), ("look", b"")]


async def test_a_report_after_the_decision_opens_another_case(user: Running) -> None:
    owner, reporter, moderator = await new_caller(user), await new_caller(user), await new_caller(user, ADMIN)
    subject = video(owner, new_id())
    first = await report(user, reporter, subject)
    (case,) = await cases_of(user, moderator, owner.user_id)
    await decide(user, moderator, case.case_id)
    second = await report(user, reporter, subject)
    assert second.report_id != first.report_id and not second.duplicate
    (again,) = await cases_of(user, moderator, owner.user_id)
    assert again.case_id != case.case_id
    earlier = (await details(user, moderator, again.case_id)).owner_acts
    assert [(act.case_id, act.verb) for act in earlier] == [(case.case_id, "dismiss")]


async def test_a_reporter_sees_their_own_reports_without_the_case(user: Running) -> None:
    owner, reporter, other, moderator = [await new_caller(user, role) for role in (0, 0, 0, ADMIN)]
    ids = [new_id() for _ in range(3)]
    for id in ids:
        await report(user, reporter, video(owner, id))
    await report(user, other, video(owner, ids[0]))
    await decide(user, moderator, (await cases_of(user, moderator, owner.user_id))[0].case_id)
    page = await call(reporter, user.moderation.ListReports, pb.ListReportsRequest(limit=2))
    rest = await call(reporter, user.moderation.ListReports, pb.ListReportsRequest(cursor=page.next_cursor, limit=2))
    found = [*page.reports, *rest.reports]
    assert [(each.subject.subject_id, each.closed) for each in found] == [
        (ids[2], False),
        (ids[1], False),
        (ids[0], True),
    ]
    assert {each.case_id for each in found} == {0} and rest.next_cursor == ""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"reason": "boredom"}, "REPORT_INVALID"),
        ({"note": "x" * 501}, "NOTE_INVALID"),
        ({"kind": 0}, "REPORT_INVALID"),
        ({"kind": 9}, "REPORT_INVALID"),
        ({"subject_id": 0}, "REPORT_INVALID"),
        ({"snapshot": b"x" * (MAX_SNAPSHOT + 1)}, "REPORT_INVALID"),
        ({"own": True}, "SELF_REPORT"),
    ],
)
async def test_what_cannot_be_reported(user: Running, change: dict[str, object], reason: str) -> None:
    owner, reporter = await new_caller(user), await new_caller(user)
    subject = video(reporter if change.pop("own", False) else owner, new_id())
    request = pb.ReportRequest(subject=subject, reason="spam")
    for name, value in change.items():
        setattr(request if name in ("reason", "note") else request.subject, name, value)
    with acting(reporter):
        assert await refusal(user.moderation.Report(request)) == reason


async def test_of_two_moderators_who_claim_at_once_one_gets_the_case(user: Running) -> None:
    owner, reporter = await new_caller(user), await new_caller(user)
    moderators = [await new_caller(user, ADMIN) for _ in range(2)]
    for _ in range(5):
        await report(user, reporter, video(owner, new_id()))
    for case in await cases_of(user, moderators[0], owner.user_id):
        tries = await outcomes(*(claim(user, moderator, case.case_id) for moderator in moderators))
        assert tries == {"": 1, "CASE_CLAIMED": 1}
        (holder,) = [m for m in moderators if await is_mine(user, m, owner, case.case_id)]
        other = next(moderator for moderator in moderators if moderator != holder)
        assert await refusal(decide(user, other, case.case_id)) == "CASE_CLAIMED"
        assert (await claim(user, holder, case.case_id)).claimed_by == holder.user_id
        acts = (await details(user, holder, case.case_id)).acts
        assert [(act.verb, act.moderator_id) for act in acts] == [("claim", holder.user_id)]


async def is_mine(user: Running, moderator: Caller, owner: Caller, case_id: int) -> bool:
    return case_id in [case.case_id for case in await cases_of(user, moderator, owner.user_id, pb.CASES_MINE)]


async def test_a_claim_ends_with_its_release_or_its_hour(user: Running) -> None:
    owner, reporter = await new_caller(user), await new_caller(user)
    one, two = await new_caller(user, ADMIN), await new_caller(user, ADMIN)
    await report(user, reporter, video(owner, new_id()))
    (case,) = await cases_of(user, one, owner.user_id)
    await claim(user, one, case.case_id)
    assert await cases_of(user, two, owner.user_id, pb.CASES_UNCLAIMED) == []
    release = pb.ReleaseCaseRequest(case_id=case.case_id)
    assert await refusal(call(two, user.moderation.ReleaseCase, release)) == "CASE_CLAIMED"
    await call(one, user.moderation.ReleaseCase, release)
    assert (await claim(user, two, case.case_id)).claimed_by == two.user_id
    await execute(user, "UPDATE moderation_case SET claimed_until = now() WHERE id = :id", id=case.case_id)
    assert len(await cases_of(user, one, owner.user_id, pb.CASES_UNCLAIMED)) == 1
    assert (await claim(user, one, case.case_id)).claimed_by == one.user_id


async def test_a_decision_is_made_once_and_says_who_when_and_why(user: Running) -> None:
    owner, reporter = await new_caller(user), await new_caller(user)
    one, two = await new_caller(user, ADMIN), await new_caller(user, ADMIN)
    await report(user, reporter, video(owner, new_id()))
    (case,) = await cases_of(user, one, owner.user_id)
    acts = await asyncio.gather(*(decide(user, one, case.case_id, note="harmless") for _ in range(10)))
    assert len({act.act_id for act in acts}) == 1
    assert await refusal(decide(user, two, case.case_id)) == "CASE_CLOSED"
    assert await refusal(claim(user, two, case.case_id)) == "CASE_CLOSED"
    (act,) = (await call(two, user.moderation.ListActs, pb.ListActsRequest(owner_id=owner.user_id, limit=9))).acts
    assert (act.verb, act.moderator_id, act.note, act.created_at > 0) == ("dismiss", one.user_id, "harmless", True)
    (closed,) = await cases_of(user, one, owner.user_id, pb.CASES_CLOSED)
    assert (closed.outcome, closed.closed_at > 0) == ("dismiss", True)
    told = await execute(
        user,
        "SELECT data FROM outbox WHERE subject = 'events.user.moderation.closed' AND data ->> 'case_id' = :id",
        id=str(case.case_id),
    )
    assert [row.data["reporter_ids"] for row in told] == [[str(reporter.user_id)]]


async def test_only_moderators_see_and_decide_cases(user: Running) -> None:
    owner, reporter = await new_caller(user), await new_caller(user)
    await report(user, reporter, video(owner, new_id()))
    (case,) = await cases_of(user, await new_caller(user, ADMIN), owner.user_id)
    calls: dict[Any, Any] = {
        user.moderation.ListCases: pb.ListCasesRequest(limit=1),
        user.moderation.GetCase: pb.GetCaseRequest(case_id=case.case_id),
        user.moderation.ClaimCase: pb.ClaimCaseRequest(case_id=case.case_id),
        user.moderation.ReleaseCase: pb.ReleaseCaseRequest(case_id=case.case_id),
        user.moderation.Decide: pb.DecideRequest(case_id=case.case_id, verb="dismiss"),
        user.moderation.ListActs: pb.ListActsRequest(limit=1),
    }
    forged = Caller(reporter.user_id, ADMIN, reporter.session_id)  # the role in the database counts
    for rpc, request in calls.items():
        for caller in (reporter, owner, forged, await new_caller(user, ADMIN - 1)):
            assert await refusal(call(caller, rpc, request)) == "NOT_PERMITTED", request
        with anonymous():
            assert await refusal(rpc(request)) == "CALLER_MISSING"
    with anonymous():
        assert await refusal(user.moderation.Report(pb.ReportRequest())) == "CALLER_MISSING"
        assert await refusal(user.moderation.ListReports(pb.ListReportsRequest())) == "CALLER_MISSING"


async def test_a_case_that_does_not_exist(user: Running) -> None:
    moderator = await new_caller(user, ADMIN)
    assert await refusal(details(user, moderator, 1)) == "CASE_NOT_FOUND"
    assert await refusal(claim(user, moderator, 1)) == "CASE_NOT_FOUND"
    assert await refusal(decide(user, moderator, 1)) == "CASE_NOT_FOUND"
    assert await refusal(decide(user, moderator, 1, "praise")) == "VERB_INVALID"


async def test_the_queue_pages_through_every_case_once(user: Running) -> None:
    owner, reporter, moderator = await new_caller(user), await new_caller(user), await new_caller(user, ADMIN)
    ids = [new_id() for _ in range(7)]
    for id in ids:
        await report(user, reporter, video(owner, id))
    seen: list[int] = []
    cursor = ""
    while True:
        request = pb.ListCasesRequest(owner_id=owner.user_id, kind=pb.SUBJECT_VIDEO, cursor=cursor, limit=3)
        page = await call(moderator, user.moderation.ListCases, request)
        seen += [case.subject.subject_id for case in page.cases]
        cursor = page.next_cursor
        if not cursor:
            break
    assert seen == ids


async def test_an_erased_account_leaves_no_report_and_no_snapshot(user: Running) -> None:
    owner, reporter, other, moderator = [await new_caller(user, role) for role in (0, 0, 0, ADMIN)]
    id = new_id()
    await report(user, reporter, video(owner, id, "one"), note="mine")
    await report(user, other, video(owner, id, "two"), note="of them")
    await report(user, owner, video(reporter, new_id()))
    await delete_account(user, reporter, PASSWORD)
    (case,) = await cases_of(user, moderator, owner.user_id)
    assert [each.reporter_id for each in (await details(user, moderator, case.case_id)).reports] == [other.user_id]
    await delete_account(user, owner, PASSWORD)
    (case,) = await cases_of(user, moderator, owner.user_id)
    (left,) = (await details(user, moderator, case.case_id)).reports
    assert (case.subject.snapshot, left.note, left.snapshot) == (b"", "", b"")
    assert await refusal(report(user, owner, video(other, new_id()))) in ("NOT_PERMITTED", "CALLER_MISSING")


async def test_a_decision_is_taken_back_once_and_keeps_its_row(user: Running) -> None:
    owner, reporter = await new_caller(user), await new_caller(user)
    one, two = await new_caller(user, ADMIN), await new_caller(user, ADMIN)
    await report(user, reporter, video(owner, new_id()))
    (case,) = await cases_of(user, one, owner.user_id)
    hidden = await decide(user, one, case.case_id, "hide", note="vile", keep_open=True)
    reversal = pb.ReverseRequest(act_id=hidden.act_id, note="was not")
    taken = await asyncio.gather(*(call(two, user.moderation.Reverse, reversal) for _ in range(10)))
    assert {(act.reversed_by, act.reversal_note, act.note) for act in taken} == {(two.user_id, "was not", "vile")}
    again = await decide(user, one, case.case_id, "hide", keep_open=True)
    assert again.act_id != hidden.act_id
    await decide(user, one, case.case_id, "remove")
    rows = await execute(
        user,
        "SELECT subject FROM outbox WHERE data ->> 'case_id' = :id ORDER BY id",
        id=str(case.case_id),
    )
    verbs = [row.subject.rpartition(".")[2] for row in rows]
    assert [verb for verb in verbs if verb not in ("acted", "reversed")] == [
        "hidden", "restored", "hidden", "removed", "closed",
    ]  # fmt: skip
    assert verbs.count("acted") == 3 and verbs.count("reversed") == 1
    written = await execute(
        user, "SELECT act, actor_id FROM audit WHERE details ->> 'case_id' = :id ORDER BY id", id=str(case.case_id)
    )
    assert [(row.act.removeprefix("moderation."), row.actor_id) for row in written] == [
        ("hide", one.user_id),
        ("reverse.hide", two.user_id),
        ("hide", one.user_id),
        ("remove", one.user_id),
    ]
    for caller, why in ((reporter, "NOT_PERMITTED"), (one, "ACT_NOT_FOUND")):
        assert await refusal(call(caller, user.moderation.Reverse, pb.ReverseRequest(act_id=1))) == why


async def test_moderators_who_decide_differently_at_once(user: Running) -> None:
    owner, reporter = await new_caller(user), await new_caller(user)
    one, two = await new_caller(user, ADMIN), await new_caller(user, ADMIN)
    for _ in range(3):
        await report(user, reporter, video(owner, new_id()))
    for case in await cases_of(user, one, owner.user_id):
        tries = await outcomes(decide(user, one, case.case_id, "hide"), decide(user, two, case.case_id, "dismiss"))
        assert tries == {"": 1, "CASE_CLOSED": 1}
