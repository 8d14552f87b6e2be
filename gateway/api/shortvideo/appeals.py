"""api/moderation/*: what was decided about the caller, and appeals against it (docs/moderation.md)."""

from typing import Annotated

from msgspec import Meta, Struct

from gateway.api.shortvideo.moderation import MODERATION
from gateway.api.shortvideo.moderation_views import ActPage, ActView, act_view, time_view
from gateway.api.shortvideo.reports import REPORTS, Note
from gateway.api.timeouts import HASHING_TIMEOUT
from gateway.container import Call
from gateway.http.endpoint import endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.errors import ParameterMissing
from gateway.http.limits.rate_limits import per_minute
from gateway.http.params import Id, PageSize, Text
from protos.user.v1 import moderation_pb2 as pb
from services.client_json.times import rfc3339

AppealText = Annotated[str, Meta(min_length=1, max_length=1_000)]


class ListOwnActs(Struct):
    cursor: str = ""
    limit: PageSize = 20


class MakeAppeal(Struct):
    act_id: Id
    text: AppealText


class AppealByPassword(Struct, kw_only=True):
    """For who is suspended or banned: `email` or `phone`, the password and `second_code`, as in a login."""

    email: str = ""
    phone: str = ""
    password: Text
    text: AppealText
    second_code: str = ""


class Appealed(Struct):
    appeal_id: str


class ListAppeals(Struct):
    decided: bool = False
    cursor: str = ""
    limit: PageSize = 20


class DecideAppeal(Struct):
    """The user reads the answer."""

    appeal_id: Id
    granted: bool
    answer: Note = ""


class AppealView(Struct):
    """`decided_at` and `decided_by` are "" until it is decided."""

    appeal_id: str
    user_id: str
    text: str
    act: ActView
    created_at: str
    decided_at: str
    decided_by: str
    granted: bool
    answer: str


class AppealPage(Struct):
    appeals: list[AppealView]
    next_cursor: str


def _appeal_view(appeal: pb.AppealEntry) -> AppealView:
    return AppealView(
        appeal_id=str(appeal.appeal_id),
        user_id=str(appeal.user_id),
        text=appeal.text,
        act=act_view(appeal.act),
        created_at=rfc3339(appeal.created_at),
        decided_at=time_view(appeal.decided_at),
        decided_by=str(appeal.decided_by or ""),
        granted=appeal.granted,
        answer=appeal.answer,
    )


@endpoint("GET", "/api/moderation/my-acts", family=SHORT_VIDEO, limit=REPORTS)
async def list_own_acts(call: Call, params: ListOwnActs) -> ActPage:
    """Lists what moderators decided about the caller and their content, newest first."""
    request = pb.ListOwnActsRequest(cursor=params.cursor, limit=params.limit)
    page = await call.container.moderation.ListOwnActs(request)
    return ActPage([act_view(act) for act in page.acts], page.next_cursor)


@endpoint("POST", "/api/moderation/appeal", family=SHORT_VIDEO, limit=REPORTS)
async def appeal(call: Call, params: MakeAppeal) -> Appealed:
    """Ask another moderator to look at a decision again, once for each."""
    made = await call.container.moderation.Appeal(pb.AppealRequest(act_id=params.act_id, text=params.text))
    return Appealed(str(made.appeal_id))


@endpoint("POST", "/api/moderation/appeal-by-password", family=SHORT_VIDEO, limit=per_minute(4), auth=False)
async def appeal_by_password(call: Call, params: AppealByPassword) -> Appealed:
    """The same against a suspension or a ban, for users who cannot log in."""
    if not (params.email or params.phone):
        raise ParameterMissing(field="email")
    request = pb.AppealByPasswordRequest(
        email=params.email,
        phone=params.phone,
        password=params.password,
        text=params.text,
        second_code=params.second_code,
        client=call.client.message(),
    )
    made = await call.container.moderation.AppealByPassword(request, timeout=HASHING_TIMEOUT)
    return Appealed(str(made.appeal_id))


@endpoint("GET", "/api/moderation/appeals", family=SHORT_VIDEO, limit=MODERATION)
async def list_appeals(call: Call, params: ListAppeals) -> AppealPage:
    """For moderators: the undecided appeals, the oldest first, or the decided ones, the newest first."""
    request = pb.ListAppealsRequest(decided=params.decided, cursor=params.cursor, limit=params.limit)
    page = await call.container.moderation.ListAppeals(request)
    return AppealPage([_appeal_view(each) for each in page.appeals], page.next_cursor)


@endpoint("POST", "/api/moderation/decide-appeal", family=SHORT_VIDEO, limit=MODERATION)
async def decide_appeal(call: Call, params: DecideAppeal) -> AppealView:
    """For moderators other than the one who decided: granting takes the decision back."""
    request = pb.DecideAppealRequest(appeal_id=params.appeal_id, granted=params.granted, answer=params.answer)
    return _appeal_view(await call.container.moderation.DecideAppeal(request))


endpoints = [list_own_acts, appeal, appeal_by_password, list_appeals, decide_appeal]
