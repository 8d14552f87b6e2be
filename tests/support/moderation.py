"""Reports and decisions in the user service, by callers with real accounts."""

from typing import Any

from protos.user.v1 import accounts_pb2
from protos.user.v1 import moderation_pb2 as pb
from services.kit.context import Caller
from tests.support.user import Running, acting, caller_of, email_account, execute

ADMIN = 3


async def new_caller(user: Running, role: int = 0) -> Caller:
    issued: accounts_pb2.Tokens = await email_account(user)
    if role:
        await execute(user, "UPDATE account SET role = :role WHERE id = :id", role=role, id=issued.user_id)
    return caller_of(user, issued)


async def call(caller: Caller, rpc: Any, request: Any) -> Any:
    with acting(caller):
        return await rpc(request)


def video_of(owner: Caller | int, video_id: int, title: str = "a bad film") -> pb.Subject:
    """As the gateway passes it on; the user service does not look videos up."""
    owner_id = owner if isinstance(owner, int) else owner.user_id
    return pb.Subject(
        kind=pb.SUBJECT_VIDEO, subject_id=video_id, owner_id=owner_id, snapshot=f'{{"title":"{title}"}}'.encode()
    )


async def report(
    user: Running, caller: Caller, subject: pb.Subject, reason: str = "spam", note: str = ""
) -> pb.ReportResponse:
    request = pb.ReportRequest(subject=subject, reason=reason, note=note)
    answer: pb.ReportResponse = await call(caller, user.moderation.Report, request)
    return answer


async def cases_of(user: Running, moderator: Caller, owner_id: int, state: int = pb.CASES_OPEN) -> list[pb.Case]:
    request = pb.ListCasesRequest(owner_id=owner_id, state=pb.CaseState.ValueType(state), limit=100)
    return list((await call(moderator, user.moderation.ListCases, request)).cases)


async def claim(user: Running, moderator: Caller, case_id: int) -> pb.Case:
    answer: pb.Case = await call(moderator, user.moderation.ClaimCase, pb.ClaimCaseRequest(case_id=case_id))
    return answer


async def decide(user: Running, moderator: Caller, case_id: int, verb: str = "dismiss", **more: Any) -> pb.Act:
    request = pb.DecideRequest(case_id=case_id, verb=verb, **more)
    answer: pb.Act = await call(moderator, user.moderation.Decide, request)
    return answer


async def details(user: Running, moderator: Caller, case_id: int) -> pb.GetCaseResponse:
    answer: pb.GetCaseResponse = await call(moderator, user.moderation.GetCase, pb.GetCaseRequest(case_id=case_id))
    return answer


async def delete_account(user: Running, caller: Caller, password: str) -> None:
    await call(caller, user.accounts.DeleteAccount, accounts_pb2.DeleteAccountRequest(password=password))
