"""From the Authorization header to a caller whose session is alive."""

import time
from collections import OrderedDict
from collections.abc import Mapping

from gateway.cache.dataloader import NearCache
from gateway.http.errors import TokenMalformed, TokenMissing
from protos.user.v1.accounts_pb2 import CheckSessionsRequest, SessionVerdict
from protos.user.v1.accounts_pb2_grpc import SessionsStub
from services.kit.context import Caller
from services.kit.tokens import Claims, TokenExpired, TokenInvalid, verify

VERDICT_TTL = 3.0  # seconds; the session.revoked event drops them sooner
MAX_VERDICTS = 50_000
GATHER = 0.01  # seconds, while others are being checked
MAX_TOKENS = 20_000
MAX_TOKEN_CHARACTERS = 4_096


class Authenticator:
    def __init__(self, jwt_secret: str, sessions: SessionsStub) -> None:
        self._secret, self._sessions = jwt_secret, sessions
        self._claims: OrderedDict[str, Claims] = OrderedDict()
        self.verdicts = NearCache(self._check, VERDICT_TTL, MAX_VERDICTS, GATHER)

    def read(self, header: str | None) -> Claims:
        """The claims of an access token that was signed by us and has not expired.

        Raises TokenMissing, TokenMalformed, TokenExpired, WrongTokenClass, TokenInvalid.
        """
        token = _bearer(header)
        claims = self._claims.get(token)
        if claims is None:
            claims = self._claims[token] = verify(self._secret, token, "atoken")
            if len(self._claims) > MAX_TOKENS:
                self._claims.popitem(last=False)
        elif claims.exp <= time.time():
            del self._claims[token]
            raise TokenExpired
        return claims

    async def authenticate(self, claims: Claims) -> Caller:
        """The caller, with the role he has now. Raises TokenInvalid if his session ended, and Unavailable
        (as the call's AioRpcError) if nobody can tell."""
        verdict = await self.verdicts.load(int(claims.sid))
        if verdict is None or verdict.user_id != int(claims.userid):
            raise TokenInvalid
        return Caller(verdict.user_id, verdict.role, verdict.session_id)

    async def _check(self, session_ids: list[int]) -> Mapping[int, SessionVerdict]:
        response = await self._sessions.CheckSessions(CheckSessionsRequest(session_ids=session_ids))
        return {verdict.session_id: verdict for verdict in response.sessions}


def _bearer(header: str | None) -> str:
    if not header or not (header := header.strip()):
        raise TokenMissing
    scheme, _, token = header.rpartition(" ")
    if scheme.strip().lower() not in ("", "bearer") or len(token) > MAX_TOKEN_CHARACTERS:
        raise TokenMalformed
    if token.lower() == "bearer":
        raise TokenMissing
    return token
