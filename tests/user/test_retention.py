"""What is kept for a time only: closed cases with what belongs to them, and the audit."""

from typing import Any

import pytest

from protos.user.v1 import moderation_pb2 as pb
from services.kit.context import Caller
from services.user import retention
from services.user.moderation import retention as cases
from tests.support.moderation import ADMIN, call, cases_of, decide, delete_account, new_caller, report, video_of
from tests.support.user import PASSWORD, Running, execute

AGED = {
    "moderation_case": ("created_at", "closed_at"),
    "moderation_act": ("created_at", "reversed_at", "until"),
    "moderation_appeal": ("created_at", "decided_at"),
    "audit": ("at",),
}


async def days_pass(user: Running, days: int) -> None:
    """All that is there is older."""
    for table, columns in AGED.items():
        moved = ", ".join(f"{column} = {column} - make_interval(days => :days)" for column in columns)
        await execute(user, f"UPDATE {table} SET {moved}", days=days)


async def sweep(user: Running) -> None:
    await retention.sweep(user.service.database, user.settings)


async def closed(user: Running, moderator: Caller, owner: Caller, verb: str, **more: Any) -> pb.Act:
    await report(user, await new_caller(user), video_of(owner, owner.user_id))
    (case,) = await cases_of(user, moderator, owner.user_id)
    return await decide(user, moderator, case.case_id, verb, **more)


async def left_of(user: Running, case_id: int) -> dict[str, int]:
    counts = {
        "case": "SELECT count(*) FROM moderation_case WHERE id = :id",
        "reports": "SELECT count(*) FROM moderation_report WHERE case_id = :id",
        "acts": "SELECT count(*) FROM moderation_act WHERE case_id = :id",
        "appeals": "SELECT count(*) FROM moderation_appeal JOIN moderation_act a ON a.id = act_id WHERE case_id = :id",
    }
    return {name: (await execute(user, query, id=case_id))[0].count for name, query in counts.items()}


async def is_kept(user: Running, act: pb.Act) -> bool:
    return (await left_of(user, act.case_id))["case"] == 1


async def test_a_closed_case_goes_after_its_days_with_all_that_belongs_to_it(user: Running) -> None:
    owner, moderator, other = [await new_caller(user, role) for role in (0, ADMIN, ADMIN)]
    act = await closed(user, moderator, owner, "warn")
    asked = await call(owner, user.moderation.Appeal, pb.AppealRequest(act_id=act.act_id, text="no"))
    await days_pass(user, 364)
    await sweep(user)
    assert await left_of(user, act.case_id) == {"case": 1, "reports": 1, "acts": 1, "appeals": 1}
    await days_pass(user, 2)
    await sweep(user)
    assert await is_kept(user, act), "its appeal is undecided"
    await call(other, user.moderation.DecideAppeal, pb.DecideAppealRequest(appeal_id=asked.appeal_id, granted=False))
    await days_pass(user, 364)
    await sweep(user)
    assert await is_kept(user, act), "the decision is younger"
    await days_pass(user, 2)
    await sweep(user)
    assert not any((await left_of(user, act.case_id)).values())
    assert not (await call(owner, user.moderation.ListOwnActs, pb.ListOwnActsRequest(limit=9))).acts


async def test_what_stands_is_kept_until_it_is_taken_back_or_its_owner_is_gone(user: Running) -> None:
    moderator, owners = await new_caller(user, ADMIN), [await new_caller(user) for _ in range(5)]
    hidden, banned, erased, long, short = [
        await closed(user, moderator, owner, verb, seconds=seconds)
        for owner, verb, seconds in zip(
            owners, ("hide", "ban", "hide", "suspend", "suspend"), (0, 0, 0, 300 * 86_400, 60), strict=True
        )
    ]
    still_open = await new_caller(user)
    await report(user, await new_caller(user), video_of(still_open, still_open.user_id))
    await delete_account(user, owners[2], PASSWORD)
    await days_pass(user, 366)
    await sweep(user)
    assert [await is_kept(user, act) for act in (hidden, banned, erased, long, short)] == [
        True,
        True,
        False,
        True,
        False,
    ]
    assert len(await cases_of(user, moderator, still_open.user_id)) == 1
    await call(moderator, user.moderation.Reverse, pb.ReverseRequest(act_id=hidden.act_id))
    await sweep(user)
    assert await is_kept(user, hidden)
    await days_pass(user, 366)
    await sweep(user)
    assert [await is_kept(user, act) for act in (hidden, banned, long)] == [False, True, False]


async def test_the_audit_goes_after_its_days(user: Running) -> None:
    owner, moderator = await new_caller(user), await new_caller(user, ADMIN)
    await closed(user, moderator, owner, "warn")
    entries = "SELECT count(*) FROM audit WHERE actor_id = :id"

    async def count() -> int:
        return int((await execute(user, entries, id=moderator.user_id))[0].count)

    before = await count()
    await days_pass(user, 1_094)
    await sweep(user)
    assert await count() == before > 0
    await days_pass(user, 2)
    await sweep(user)
    assert not await count()


async def test_many_go_in_small_transactions(user: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "BATCH", 2)
    moderator = await new_caller(user, ADMIN)
    acts = [await closed(user, moderator, await new_caller(user), "dismiss") for _ in range(5)]
    await days_pass(user, 366)
    await sweep(user)
    assert not any([await is_kept(user, act) for act in acts])
