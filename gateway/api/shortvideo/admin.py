"""api/admin/*: what the console shows and does besides moderation (docs/operating.md). For roles 3 and 4."""

import asyncio

import grpc
import structlog
from msgspec import Struct
from nats.errors import Error as NatsError

from gateway.api.shortvideo.users import SessionPage
from gateway.api.shortvideo.views import session_view
from gateway.container import Call, Container
from gateway.http.endpoint import NoParams, endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.errors import NotPermitted
from gateway.http.limits.rate_limits import per_second
from gateway.http.params import Id, OptionalId, PageSize
from protos.media.v1.objects_pb2 import CountJobsRequest
from protos.user.v1 import accounts_pb2 as pb
from protos.user.v1 import audit_pb2
from services.client_json.times import rfc3339
from services.kit import VERSION
from services.kit.roles import is_admin

ADMIN = per_second(5, 40)
STREAM, QUEUES_SECONDS = "EVENTS", 2.0

log = structlog.get_logger("admin")


class ListUserSessions(Struct):
    user_id: Id
    cursor: str = ""
    limit: PageSize = 20


class RevokeUserSession(Struct):
    user_id: Id
    session_id: Id


class ListAudit(Struct):
    """Empty or 0 for any."""

    act: str = ""
    target_kind: str = ""
    target_id: OptionalId = 0
    actor_id: OptionalId = 0
    cursor: str = ""
    limit: PageSize = 20


class AuditView(Struct):
    """`actor_id` is "" for an operator on the command line. `details` is a JSON object."""

    audit_id: str
    at: str
    actor_id: str
    operator: str
    act: str
    target_kind: str
    target_id: str
    reason: str
    details: str


class AuditPage(Struct):
    """`next_cursor` is empty on the last page."""

    entries: list[AuditView]
    next_cursor: str


class ServiceView(Struct):
    name: str
    ready: bool


class QueueView(Struct):
    """Events that a service has not handled: `waiting` were not sent to it, `unanswered` were, `repeated` again."""

    name: str
    waiting: int
    unanswered: int
    repeated: int


class Status(Struct):
    """Of this gateway. `queues` is empty while NATS does not answer, and `queues_known` false."""

    version: str
    services: list[ServiceView]
    queues: list[QueueView]
    queues_known: bool
    sockets: int
    users_online: int


class JobQueueView(Struct):
    """Jobs of one kind of processing, counted up to 10,000.

    `due` wait for a worker, the first of them for `wait_seconds`; `held` are worked on, or postponed after a failure;
    `failed` within a day.
    """

    kind: str
    due: int
    held: int
    failed: int
    wait_seconds: int


class JobQueues(Struct):
    """Without kinds of which there are no jobs."""

    queues: list[JobQueueView]


@endpoint("GET", "/api/admin/user-sessions", family=SHORT_VIDEO, limit=ADMIN)
async def list_user_sessions(call: Call, params: ListUserSessions) -> SessionPage:
    """A user's live sessions, the newest first; those of admins are for super admins."""
    request = pb.ListSessionsRequest(user_id=params.user_id, cursor=params.cursor, limit=params.limit)
    page = await call.container.sessions.ListSessions(request)
    return SessionPage([session_view(session) for session in page.sessions], page.next_cursor)


@endpoint("POST", "/api/admin/revoke-session", family=SHORT_VIDEO, limit=ADMIN)
async def revoke_user_session(call: Call, params: RevokeUserSession) -> None:
    """End one of a user's sessions, on all gateways at once; the audit records it."""
    request = pb.RevokeSessionRequest(user_id=params.user_id, session_id=params.session_id)
    await call.container.sessions.RevokeSession(request)
    call.container.verdicts.drop(params.session_id)


@endpoint("GET", "/api/admin/audit", family=SHORT_VIDEO, limit=ADMIN)
async def list_audit(call: Call, params: ListAudit) -> AuditPage:
    """Lists the acts of operators, admins and moderators, newest first."""
    request = audit_pb2.ListAuditRequest(
        cursor=params.cursor,
        limit=params.limit,
        act=params.act,
        target_kind=params.target_kind,
        target_id=params.target_id,
        actor_id=params.actor_id,
    )
    page = await call.container.audit.ListAudit(request)
    return AuditPage([audit_view(entry) for entry in page.entries], page.next_cursor)


@endpoint("GET", "/api/admin/status", family=SHORT_VIDEO, limit=ADMIN)
async def status(call: Call, params: NoParams) -> Status:
    """Whether the services answer, how many events wait for each consumer, and who is connected."""
    await require_admin(call)
    container = call.container
    queues = await read_queues(container)
    hub = container.sockets.hub
    return Status(
        version=VERSION,
        services=[
            ServiceView(name, channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY)
            for name, channel in container.channels.items()
        ],
        queues=queues or [],
        queues_known=queues is not None,
        sockets=sum(map(len, hub.users.values())),
        users_online=len(hub.users),
    )


@endpoint("GET", "/api/admin/jobs", family=SHORT_VIDEO, limit=ADMIN)
async def list_jobs(call: Call, params: NoParams) -> JobQueues:
    """How many jobs of processing wait, are worked on and failed, by their kind."""
    await require_admin(call)
    counted = await call.container.objects.CountJobs(CountJobsRequest())
    return JobQueues([JobQueueView(q.kind, q.due, q.held, q.failed, q.wait_seconds) for q in counted.queues])


async def require_admin(call: Call) -> None:
    """By the role that the user service has, which may differ from the token's. Raises NotPermitted."""
    user_id = call.caller.user_id
    user = await call.container.profiles.load((user_id, user_id))
    if user is None or not is_admin(user.role):
        raise NotPermitted


async def read_queues(container: Container) -> list[QueueView] | None:
    """None if NATS does not answer."""
    try:
        async with asyncio.timeout(QUEUES_SECONDS):
            found = await container.nats.jetstream(timeout=QUEUES_SECONDS).consumers_info(STREAM)
    except (NatsError, TimeoutError) as error:
        log.info("the queues are not known", error=repr(error))
        return None
    queues = [
        QueueView(each.name, each.num_pending or 0, each.num_ack_pending or 0, each.num_redelivered or 0)
        for each in found
    ]
    return sorted(queues, key=lambda queue: queue.name)


def audit_view(entry: audit_pb2.AuditEntry) -> AuditView:
    return AuditView(
        audit_id=str(entry.audit_id),
        at=rfc3339(entry.at),
        actor_id=str(entry.actor_id) if entry.actor_id else "",
        operator=entry.operator,
        act=entry.act,
        target_kind=entry.target_kind,
        target_id=str(entry.target_id),
        reason=entry.reason,
        details=entry.details,
    )


endpoints = [list_user_sessions, revoke_user_session, list_audit, status, list_jobs]
