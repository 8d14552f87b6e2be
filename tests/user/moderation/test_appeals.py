"""Appeals: by the owner alone, once for each act, decided by another moderator."""

import asyncio
from typing import Any

import pytest

from protos.user.v1 import moderation_pb2 as pb
from services.kit.context import Caller
from tests.support.moderation import ADMIN, call, cases_of, decide, delete_account, new_caller, report
from tests.support.moderation import video_of as video
from tests.support.user import (
    PASSWORD,
    Running,
    acting,
    caller_of,
    email_account,
    email_login,
    execute,
    new_name,
    outcomes,
    refusal,
)
from tests.user.test_second_factor import code_of, turned_on

DAY = 86_400


async def acted_on(user: Running, moderator: Caller, owner: int, verb: str = "warn") -> pb.Act:
    await report(user, await new_caller(user), video(owner, owner))
    case = (await cases_of(user, moderator, owner))[-1]
    return await decide(user, moderator, case.case_id, verb, seconds=DAY)


async def appeal(user: Running, caller: Caller, act_id: int, text: str = "it was a joke") -> int:
    answer = await call(caller, user.moderation.Appeal, pb.AppealRequest(act_id=act_id, text=text))
    return int(answer.appeal_id)


async def decide_appeal(user: Running, moderator: Caller, appeal_id: int, granted: bool) -> pb.AppealEntry:
    request = pb.DecideAppealRequest(appeal_id=appeal_id, granted=granted, answer="looked again")
    entry: pb.AppealEntry = await call(moderator, user.moderation.DecideAppeal, request)
    return entry


async def open_appeals(user: Running, moderator: Caller) -> dict[int, pb.AppealEntry]:
    found = await call(moderator, user.moderation.ListAppeals, pb.ListAppealsRequest(limit=100))
    return {entry.appeal_id: entry for entry in found.appeals}


async def test_one_appeal_for_each_act_by_its_owner(user: Running) -> None:
    owner, stranger, moderator = [await new_caller(user, role) for role in (0, 0, ADMIN)]
    act = await acted_on(user, moderator, owner.user_id)
    ids = await asyncio.gather(*(appeal(user, owner, act.act_id) for _ in range(20)))
    assert len(set(ids)) == 1
    assert await refusal(appeal(user, owner, act.act_id, "another text")) == "APPEAL_MADE"
    for caller in (stranger, moderator):
        assert await refusal(appeal(user, caller, act.act_id)) == "ACT_NOT_FOUND"
    (mine,) = (await call(owner, user.moderation.ListOwnActs, pb.ListOwnActsRequest(limit=9))).acts
    assert (mine.act_id, mine.verb, mine.moderator_id, mine.case_id) == (act.act_id, "warn", 0, 0)
    assert not (await call(stranger, user.moderation.ListOwnActs, pb.ListOwnActsRequest(limit=9))).acts


@pytest.mark.parametrize("text", ["", "  ", "x" * 1_001])
async def test_an_appeal_says_something(user: Running, text: str) -> None:
    owner, moderator = await new_caller(user), await new_caller(user, ADMIN)
    act = await acted_on(user, moderator, owner.user_id)
    assert await refusal(appeal(user, owner, act.act_id, text)) == "APPEAL_INVALID"


async def test_another_moderator_grants_it_once(user: Running) -> None:
    name, moderator, other = new_name(), await new_caller(user, ADMIN), await new_caller(user, ADMIN)
    issued = await email_account(user, name)
    act = await acted_on(user, moderator, issued.user_id, "ban")
    appeal_id = await appeal(user, caller_of(user, issued), act.act_id)
    entry = (await open_appeals(user, other))[appeal_id]
    assert (entry.text, entry.act.moderator_id, entry.user_id) == ("it was a joke", moderator.user_id, issued.user_id)
    assert await refusal(decide_appeal(user, moderator, appeal_id, True)) == "NOT_PERMITTED"
    made = await outcomes(*(decide_appeal(user, other, appeal_id, True) for _ in range(5)))
    assert made == {"": 5}
    assert await refusal(decide_appeal(user, other, appeal_id, False)) == "APPEAL_DECIDED"
    assert await refusal(email_login(user, name)) == ""
    assert appeal_id not in await open_appeals(user, other)
    decided = await call(other, user.moderation.ListAppeals, pb.ListAppealsRequest(decided=True, limit=1))
    assert (decided.appeals[0].granted, decided.appeals[0].answer) == (True, "looked again")
    assert decided.appeals[0].act.reversed_by == other.user_id
    written = "SELECT act FROM audit WHERE details ->> 'act_id' = :id ORDER BY id"
    assert [row.act for row in await execute(user, written, id=str(act.act_id))] == [
        "moderation.ban",
        "moderation.appeal.grant",
        "moderation.reverse.ban",
    ]


async def test_a_refused_one_leaves_the_act_and_a_super_admin_may_decide_their_own(user: Running) -> None:
    boss, owner = await new_caller(user, ADMIN + 1), await new_caller(user)
    act = await acted_on(user, boss, owner.user_id)
    entry = await decide_appeal(user, boss, await appeal(user, owner, act.act_id), False)
    assert (entry.granted, entry.act.reversed_at) == (False, 0)
    removed = await acted_on(user, boss, owner.user_id, "remove")
    entry = await decide_appeal(user, boss, await appeal(user, owner, removed.act_id), True)
    assert (entry.granted, entry.act.reversed_at) == (True, 0), "what was removed is gone"


async def test_who_is_shut_out_appeals_by_their_password(user: Running) -> None:
    name, moderator = new_name(), await new_caller(user, ADMIN)
    issued = await email_account(user, name)

    def asking(**changes: Any) -> pb.AppealByPasswordRequest:
        given = {"email": f"{name}@example.com", "password": PASSWORD, "text": "sorry"} | changes
        return pb.AppealByPasswordRequest(**given)

    assert await refusal(user.moderation.AppealByPassword(asking())) == "APPEAL_NOT_FOUND"
    act = await acted_on(user, moderator, issued.user_id, "suspend")
    assert await refusal(user.moderation.AppealByPassword(asking(password="wrong"))) == "CREDENTIALS_WRONG"
    assert await refusal(user.moderation.AppealByPassword(asking(email="nobody@example.com"))) == "CREDENTIALS_WRONG"
    appeal_id = (await user.moderation.AppealByPassword(asking())).appeal_id
    assert (await open_appeals(user, moderator))[appeal_id].act.act_id == act.act_id
    assert await refusal(user.moderation.AppealByPassword(asking(text="very sorry"))) == "APPEAL_MADE"


async def test_who_has_a_second_factor_also_gives_its_code(user: Running) -> None:
    name, issued, secret, _ = await turned_on(user)
    await acted_on(user, await new_caller(user, ADMIN), issued.user_id, "ban")

    async def ask(code: str) -> None:
        email = f"{name}@example.com"
        asked = pb.AppealByPasswordRequest(email=email, password=PASSWORD, text="sorry", second_code=code)
        await user.moderation.AppealByPassword(asked)

    assert await refusal(ask("")) == "SECOND_FACTOR_REQUIRED"
    assert await refusal(ask("000000")) == "SECOND_CODE_WRONG"
    code = code_of(secret)
    assert await refusal(ask(code)) == ""
    assert await refusal(ask(code)) == "SECOND_CODE_WRONG", "a code counts once"


async def test_only_moderators_see_and_decide_appeals(user: Running) -> None:
    owner, moderator = await new_caller(user), await new_caller(user, ADMIN)
    act = await acted_on(user, moderator, owner.user_id)
    appeal_id = await appeal(user, owner, act.act_id)
    assert await refusal(decide_appeal(user, owner, appeal_id, True)) == "NOT_PERMITTED"
    assert await refusal(decide_appeal(user, moderator, 1, True)) == "APPEAL_NOT_FOUND"
    with acting(owner):
        assert await refusal(user.moderation.ListAppeals(pb.ListAppealsRequest(limit=1))) == "NOT_PERMITTED"


async def test_an_erased_account_leaves_no_words(user: Running) -> None:
    owner, moderator = await new_caller(user), await new_caller(user, ADMIN)
    act = await acted_on(user, moderator, owner.user_id)
    appeal_id = await appeal(user, owner, act.act_id)
    await delete_account(user, owner, PASSWORD)
    assert (await open_appeals(user, moderator))[appeal_id].text == ""
