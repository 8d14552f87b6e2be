"""The audit: what operators, admins and moderators did. Only admins read it, and it is only added to."""

import asyncio
from typing import Any

from protos.user.v1 import audit_pb2 as pb
from services.kit.context import Caller
from services.kit.ids import MAX_ID
from tests.support.user import Running, acting, anonymous, email_account, execute, outcomes, refusal


async def append(user: Running, target_id: int, by: int = 0, **more: Any) -> None:
    values: dict[str, Any] = {"act": "suspend", "target_kind": "user", "target_id": target_id} | more
    request = pb.AppendAuditRequest(**values)
    with acting(Caller(by)):
        await user.audit.AppendAudit(request)


async def admin(user: Running) -> int:
    user_id = (await email_account(user)).user_id
    await execute(user, "UPDATE account SET role = 3 WHERE id = :id", id=user_id)
    return user_id


async def read(user: Running, reader: int, **more: Any) -> pb.ListAuditResponse:
    with acting(Caller(reader)):
        return await user.audit.ListAudit(pb.ListAuditRequest(**{"limit": 50} | more))


async def test_an_act_is_kept_with_who_when_what_and_why(user: Running) -> None:
    reader, target = await admin(user), (await email_account(user)).user_id
    await append(user, target, by=reader, reason="spam", details='{"days":3}')
    (entry,) = (await read(user, reader, target_id=target)).entries
    assert (entry.act, entry.target_kind, entry.target_id, entry.actor_id) == ("suspend", "user", target, reader)
    assert (entry.reason, entry.details, entry.operator) == ("spam", '{"days":3}', "")
    assert entry.at > 1_700_000_000_000


async def test_pages_go_from_the_newest_and_filters_narrow_them(user: Running) -> None:
    reader = await admin(user)
    for number in range(5):
        await append(user, 1000 + number % 2, by=reader, target_kind="video", reason=str(number))
    seen, cursor = [], ""
    while True:
        page = await read(user, reader, actor_id=reader, limit=2, cursor=cursor)
        seen += [entry.reason for entry in page.entries]
        cursor = page.next_cursor
        if not cursor:
            break
    assert seen == ["4", "3", "2", "1", "0"]
    narrowed = await read(user, reader, actor_id=reader, target_id=1001, target_kind="video", act="suspend")
    assert [entry.reason for entry in narrowed.entries] == ["3", "1"]
    assert not (await read(user, reader, actor_id=reader, target_kind="comment")).entries


async def test_a_key_records_once_also_at_the_same_moment(user: Running) -> None:
    reader = await admin(user)
    await asyncio.gather(*(append(user, 1, by=reader, key=f"once-{reader}") for _ in range(5)))
    assert len((await read(user, reader, actor_id=reader)).entries) == 1


async def test_only_an_admin_reads_it(user: Running) -> None:
    other = (await email_account(user)).user_id
    assert await refusal(read(user, other)) == "NOT_PERMITTED"
    with acting(Caller(other, role=4)):  # the token's role is only a hint
        assert await refusal(user.audit.ListAudit(pb.ListAuditRequest())) == "NOT_PERMITTED"
    with anonymous():
        assert await refusal(user.audit.ListAudit(pb.ListAuditRequest())) == "CALLER_MISSING"


async def test_what_is_no_act_is_refused(user: Running) -> None:
    wrong: list[dict[str, Any]] = [
        {"act": ""},
        {"act": "a" * 101},
        {"target_kind": ""},
        {"reason": "x" * 4_001},
        {"reason": "\0"},
        {"details": "[1]"},
        {"details": "{"},
        {"details": "[" * 3_000},
        {"details": '{"a":"\\u0000"}'},
        {"key": "k" * 101},
    ]
    assert await outcomes(*(append(user, MAX_ID, **values) for values in wrong)) == {"AUDIT_INVALID": len(wrong)}
