"""Issues and verifies the JWTs of docs/contract/api.md ("Identity"), which both API families share. `class` separates
access tokens from refresh tokens."""

import secrets
import time
from typing import Literal

import jwt
import msgspec
from jwt.types import Options

from services.kit.errors import Unauthenticated
from services.kit.ids import MAX_ID

ALGORITHM = "HS256"
TokenClass = Literal["atoken", "rtoken"]


class TokenInvalid(Unauthenticated):
    pass


class TokenExpired(Unauthenticated):
    pass


class WrongTokenClass(Unauthenticated):
    pass


class Claims(msgspec.Struct, kw_only=True):
    """Times are Unix seconds. The user id is there twice: each family reads its own key."""

    exp: int
    iat: int
    userid: str
    hichat_userid: str = msgspec.field(name="hichat2.com")
    username: str
    role: int
    token_class: TokenClass = msgspec.field(name="class")
    sid: str
    jti: str


def issue(
    secret: str,
    *,
    user_id: int,
    username: str,
    role: int,
    session_id: int,
    token_class: TokenClass,
    lifetime: int,
    jti: str = "",
) -> tuple[str, int]:
    """Returns the token and its expiry time. `jti`: its id; "" for a new one."""
    now = int(time.time())
    claims = Claims(
        exp=now + lifetime,
        iat=now,
        userid=str(user_id),
        hichat_userid=str(user_id),
        username=username,
        role=role,
        token_class=token_class,
        sid=str(session_id),
        jti=jti or secrets.token_hex(8),
    )
    return jwt.encode(msgspec.to_builtins(claims), secret, ALGORITHM), claims.exp


def verify(secret: str, token: str, token_class: TokenClass) -> Claims:
    """Raises TokenExpired, WrongTokenClass or TokenInvalid. Does not check whether the session is still live."""
    try:
        # iat is not verified: the issuing host's clock may be slightly ahead.
        options: Options = {"require": ["exp", "iat"], "verify_iat": False}
        payload = jwt.decode(token, secret, [ALGORITHM], options)
        claims = msgspec.convert(payload, Claims)
        if not all(0 < int(id) <= MAX_ID for id in (claims.userid, claims.sid)):
            raise TokenInvalid
    except jwt.ExpiredSignatureError:
        raise TokenExpired from None
    except (jwt.InvalidTokenError, msgspec.ValidationError, ValueError):
        raise TokenInvalid from None
    if claims.token_class != token_class:
        raise WrongTokenClass
    return claims
