"""Tickets to the socket: signed tokens for a user and their session, each valid for seconds and for one use."""

import secrets
import time
from collections.abc import Sequence
from typing import NamedTuple

import jwt
from jwt.types import Options
from redis.asyncio import Redis

from services.chat.config import ChatSettings
from services.kit.pages import check_batch
from services.kit.tokens import ALGORITHM

CLASS = "ticket"  # so that an access token is not a ticket, nor a ticket an access token


class Holder(NamedTuple):
    user_id: int = 0
    session_id: int = 0
    role: int = 0


NO_HOLDER = Holder()


class Tickets:
    def __init__(self, settings: ChatSettings, redis: Redis) -> None:
        self._secret, self._seconds, self._redis = settings.jwt_secret, settings.ticket_seconds, redis

    async def create(self, holders: Sequence[Holder]) -> list[str]:
        """A ticket for each holder, in their order. Raises BatchTooLarge, and Valkey's errors."""
        check_batch(holders)
        ids = [secrets.token_hex(16) for _ in holders]
        async with self._redis.pipeline(transaction=False) as pipeline:
            for jti, holder in zip(ids, holders, strict=True):
                pipeline.set(_key(jti), _fingerprint(holder), ex=self._seconds)
            await pipeline.execute()
        return [self._sign(jti, holder) for jti, holder in zip(ids, holders, strict=True)]

    async def redeem(self, tickets: Sequence[str]) -> list[Holder]:
        """Uses the tickets up and returns their holders, in order; NO_HOLDER for a used, expired or forged ticket.

        Raises BatchTooLarge, and Valkey's errors.
        """
        check_batch(tickets)
        read = [self._read(ticket) for ticket in tickets]
        async with self._redis.pipeline(transaction=False) as pipeline:
            for jti, _ in read:
                pipeline.getdel(_key(jti))
            fingerprints = await pipeline.execute()
        return [
            holder if stored == _fingerprint(holder) else NO_HOLDER
            for (_, holder), stored in zip(read, fingerprints, strict=True)
        ]

    def _sign(self, jti: str, holder: Holder) -> str:
        now = int(time.time())
        claims = {
            "exp": now + self._seconds,
            "iat": now,
            "userid": str(holder.user_id),
            "sid": str(holder.session_id),
            "role": holder.role,
            "class": CLASS,
            "jti": jti,
        }
        return jwt.encode(claims, self._secret, ALGORITHM)

    def _read(self, ticket: str) -> tuple[str, Holder]:
        """The ticket's id and holder; no id if we did not sign it, or it has expired."""
        options: Options = {"require": ["exp", "jti"], "verify_iat": False}
        try:
            claims = jwt.decode(ticket, self._secret, [ALGORITHM], options)
            if claims.get("class") != CLASS:
                return "", NO_HOLDER
            return str(claims["jti"]), Holder(int(claims["userid"]), int(claims["sid"]), int(claims["role"]))
        except (jwt.InvalidTokenError, LookupError, TypeError, ValueError):
            return "", NO_HOLDER


def _fingerprint(holder: Holder) -> bytes:
    return b"%d:%d" % (holder.user_id, holder.session_id)


def _key(jti: str) -> str:
    return f"chat:ticket:{jti}"
