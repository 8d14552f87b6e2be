"""The user service's verdicts on sessions, kept until an event of their user."""

from collections.abc import Mapping

from gateway.cache.hearing import Lasting
from gateway.cache.near_caches.tagged_cache import TaggedCache
from protos.user.v1.accounts_pb2 import CheckSessionsRequest, SessionVerdict
from protos.user.v1.accounts_pb2_grpc import SessionsStub

TTL, MAX_VERDICTS = 3.0, 50_000  # seconds, while no events are heard
GATHER_SECONDS = 0.01  # while others are being checked

SessionVerdicts = TaggedCache[int, SessionVerdict, int]


def session_verdicts(sessions: SessionsStub, lasting: Lasting | None = None) -> SessionVerdicts:
    """By session id, tagged by user; None for a session that has ended."""

    async def check(session_ids: list[int]) -> Mapping[int, SessionVerdict]:
        response = await sessions.CheckSessions(CheckSessionsRequest(session_ids=session_ids))
        return {verdict.session_id: verdict for verdict in response.sessions}

    def user_of(session_id: int, verdict: SessionVerdict) -> int:
        return verdict.user_id

    return TaggedCache(check, TTL, MAX_VERDICTS, user_of, GATHER_SECONDS, lasting)
