"""Tickets to the socket: a signed one, good once and for seconds, for a user and his session."""

import secrets
import time
from typing import NamedTuple

import jwt
from jwt.types import Options
from redis.asyncio import Redis

from services.chat.config import ChatSettings
from services.chat.errors import TicketInvalid
from services.kit.context import Caller
from services.kit.tokens import ALGORITHM

CLASS = "ticket"  # an access token is none, nor the reverse


class Holder(NamedTuple):
    user_id: int
    session_id: int
    role: int


class Tickets:
    def __init__(self, settings: ChatSettings, redis: Redis) -> None:
        self._secret, self._seconds, self._redis = settings.jwt_secret, settings.ticket_seconds, redis

    async def create(self, caller: Caller) -> str:
        jti, now = secrets.token_hex(16), int(time.time())
        claims = {
            "exp": now + self._seconds,
            "iat": now,
            "userid": str(caller.user_id),
            "sid": str(caller.session_id),
            "role": caller.role,
            "class": CLASS,
            "jti": jti,
        }
        await self._redis.set(_key(jti), f"{caller.user_id}:{caller.session_id}", ex=self._seconds)
        return jwt.encode(claims, self._secret, ALGORITHM)

    async def redeem(self, ticket: str) -> Holder:
        """Uses it up. Raises TicketInvalid; without Valkey, that error."""
        options: Options = {"require": ["exp", "jti"], "verify_iat": False}
        try:
            claims = jwt.decode(ticket, self._secret, [ALGORITHM], options)
            if claims.get("class") != CLASS:
                raise TicketInvalid
            holder = Holder(int(claims["userid"]), int(claims["sid"]), int(claims["role"]))
        except (jwt.InvalidTokenError, LookupError, TypeError, ValueError):
            raise TicketInvalid from None
        if await self._redis.getdel(_key(claims["jti"])) != f"{holder.user_id}:{holder.session_id}".encode():
            raise TicketInvalid
        return holder


def _key(jti: str) -> str:
    return f"chat:ticket:{jti}"
