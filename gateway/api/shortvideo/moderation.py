"""api/moderation/*: the moderators' queue and what they decide (docs/moderation.md). For roles 3 and 4."""

import time
from typing import Annotated, Literal

from msgspec import Meta, Struct

from gateway.api.shortvideo.moderation_views import (
    ActPage,
    ActView,
    CaseDetails,
    CasePage,
    CaseView,
    act_view,
    case_details,
    case_view,
)
from gateway.api.shortvideo.report_subjects import KINDS, KindName
from gateway.api.shortvideo.reports import Note
from gateway.container import Call
from gateway.http.endpoint import endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.limits.rate_limits import per_second
from gateway.http.params import Id, OptionalId, PageSize
from protos.user.v1 import moderation_pb2 as pb

MODERATION = per_second(5, 40)
STATES = {"open": pb.CASES_OPEN, "unclaimed": pb.CASES_UNCLAIMED, "mine": pb.CASES_MINE, "closed": pb.CASES_CLOSED}


class ListCases(Struct):
    """`open` includes cases that somebody has claimed. Closed ones come newest first, the others oldest first."""

    state: Literal["open", "unclaimed", "mine", "closed"] = "open"
    kind: KindName | None = None
    owner_id: OptionalId = 0
    cursor: str = ""
    limit: PageSize = 20


class OfCase(Struct):
    case_id: Id


class DecideCase(OfCase, kw_only=True):
    """`keep_open`: another decision follows. `seconds`: of a suspension. The owner reads the note."""

    verb: Literal["dismiss", "hide", "remove", "warn", "suspend", "ban"]
    note: Note = ""
    keep_open: bool = False
    seconds: Annotated[int, Meta(ge=0, le=366 * 86_400)] = 0


class ReverseAct(Struct):
    act_id: Id
    note: Note = ""


class ListActs(Struct):
    """Of one moderator, or those on one owner's cases."""

    moderator_id: OptionalId = 0
    owner_id: OptionalId = 0
    cursor: str = ""
    limit: PageSize = 20


def _now() -> int:
    return int(time.time() * 1000)


@endpoint("GET", "/api/moderation/cases", family=SHORT_VIDEO, limit=MODERATION)
async def list_cases(call: Call, params: ListCases) -> CasePage:
    """The queue: one case for each reported thing."""
    request = pb.ListCasesRequest(
        state=STATES[params.state],
        kind=KINDS[params.kind] if params.kind else pb.SUBJECT_KIND_UNSPECIFIED,
        owner_id=params.owner_id,
        cursor=params.cursor,
        limit=params.limit,
    )
    page = await call.container.moderation.ListCases(request)
    return CasePage([case_view(case, _now()) for case in page.cases], page.next_cursor)


@endpoint("GET", "/api/moderation/get-case", family=SHORT_VIDEO, limit=MODERATION)
async def get_case(call: Call, params: OfCase) -> CaseDetails:
    """A case with its reports, what was done, and what was decided about its owner before."""
    return case_details(await call.container.moderation.GetCase(pb.GetCaseRequest(case_id=params.case_id)), _now())


@endpoint("POST", "/api/moderation/claim-case", family=SHORT_VIDEO, limit=MODERATION)
async def claim_case(call: Call, params: OfCase) -> CaseView:
    """Reserve a case for an hour; claiming it again renews that."""
    return case_view(await call.container.moderation.ClaimCase(pb.ClaimCaseRequest(case_id=params.case_id)), _now())


@endpoint("POST", "/api/moderation/release-case", family=SHORT_VIDEO, limit=MODERATION)
async def release_case(call: Call, params: OfCase) -> CaseView:
    """Give a claimed case back to the queue."""
    released = await call.container.moderation.ReleaseCase(pb.ReleaseCaseRequest(case_id=params.case_id))
    return case_view(released, _now())


@endpoint("POST", "/api/moderation/decide-case", family=SHORT_VIDEO, limit=MODERATION)
async def decide_case(call: Call, params: DecideCase) -> ActView:
    """Decide a case that no other moderator has claimed, and close it."""
    request = pb.DecideRequest(
        case_id=params.case_id, verb=params.verb, note=params.note, keep_open=params.keep_open, seconds=params.seconds
    )
    return act_view(await call.container.moderation.Decide(request))


@endpoint("POST", "/api/moderation/reverse-act", family=SHORT_VIDEO, limit=MODERATION)
async def reverse_act(call: Call, params: ReverseAct) -> ActView:
    """Take a decision back; what was removed stays removed."""
    request = pb.ReverseRequest(act_id=params.act_id, note=params.note)
    return act_view(await call.container.moderation.Reverse(request))


@endpoint("GET", "/api/moderation/acts", family=SHORT_VIDEO, limit=MODERATION)
async def list_acts(call: Call, params: ListActs) -> ActPage:
    """The audit: who did what, when and why, the newest first."""
    request = pb.ListActsRequest(
        moderator_id=params.moderator_id, owner_id=params.owner_id, cursor=params.cursor, limit=params.limit
    )
    page = await call.container.moderation.ListActs(request)
    return ActPage([act_view(act) for act in page.acts], page.next_cursor)


endpoints = [list_cases, get_case, claim_case, release_case, decide_case, reverse_act, list_acts]
