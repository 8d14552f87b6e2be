"""From the Authorization header to a caller whose session is alive."""

import time
from collections.abc import Iterable
from typing import Protocol

from gateway.http.errors import SecondFactorMissing, TokenMalformed, TokenMissing
from protos.user.v1.accounts_pb2 import SessionVerdict
from services.kit.context import Caller
from services.kit.tokens import Claims, TokenExpired, TokenInvalid, verify
from services.kit.ttl_map import TtlMap

TOKEN_TTL, MAX_TOKENS = 3_600.0, 20_000  # seconds for which a verified token is remembered
MAX_TOKEN_CHARACTERS = 4_096


class SessionVerdicts(Protocol):
    """The user service's verdicts on sessions, by session id; gateway/cache/sessions.py keeps them for seconds."""

    async def load(self, key: int) -> SessionVerdict | None: ...

    async def load_many(self, keys: Iterable[int]) -> dict[int, SessionVerdict]: ...

    def drop(self, key: int) -> None: ...


class Authenticator:
    def __init__(self, jwt_secret: str, verdicts: SessionVerdicts) -> None:
        self._secret, self.verdicts = jwt_secret, verdicts
        self._claims: TtlMap[str, Claims] = TtlMap(TOKEN_TTL, MAX_TOKENS)

    def read(self, header: str | None) -> Claims:
        """The claims of an access token that we signed and that has not expired.

        Raises TokenMissing, TokenMalformed, TokenExpired, WrongTokenClass, TokenInvalid.
        """
        token = _bearer(header)
        claims = self._claims.get(token)
        if claims is None:
            claims = verify(self._secret, token, "atoken")
            self._claims.put(token, claims)
        elif claims.exp <= time.time():
            raise TokenExpired
        return claims

    async def authenticate(self, claims: Claims, *, enrolling: bool = False) -> Caller:
        """The caller, with their present role.

        `enrolling`: also one whose role needs a second factor, which they have not. Raises SecondFactorMissing for them
        otherwise, TokenInvalid if the session has ended, AioRpcError if the user service cannot be asked.
        """
        verdict = await self.verdicts.load(int(claims.sid))
        if verdict is None or verdict.user_id != int(claims.userid):
            raise TokenInvalid
        if verdict.lacks_second_factor and not enrolling:
            raise SecondFactorMissing
        return Caller(verdict.user_id, verdict.role, verdict.session_id)


def _bearer(header: str | None) -> str:
    """The token of `Bearer <token>` or of a bare `<token>`."""
    if not header or not (header := header.strip()):
        raise TokenMissing
    scheme, _, token = header.rpartition(" ")
    if scheme.strip().lower() not in ("", "bearer") or len(token) > MAX_TOKEN_CHARACTERS:
        raise TokenMalformed
    if token.lower() == "bearer":
        raise TokenMissing
    return token
