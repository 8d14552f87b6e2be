"""The user service's verdicts on sessions, cached for seconds."""

from collections.abc import Mapping

from gateway.cache.near_cache import NearCache
from protos.user.v1.accounts_pb2 import CheckSessionsRequest, SessionVerdict
from protos.user.v1.accounts_pb2_grpc import SessionsStub

TTL, MAX_VERDICTS = 3.0, 50_000  # seconds; the event session.revoked drops a verdict sooner
GATHER_SECONDS = 0.01  # while others are being checked


def session_verdicts(sessions: SessionsStub) -> NearCache[int, SessionVerdict]:
    """By session id; None for a session that has ended."""

    async def check(session_ids: list[int]) -> Mapping[int, SessionVerdict]:
        response = await sessions.CheckSessions(CheckSessionsRequest(session_ids=session_ids))
        return {verdict.session_id: verdict for verdict in response.sessions}

    return NearCache(check, TTL, MAX_VERDICTS, GATHER_SECONDS)
