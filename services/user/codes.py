"""Mailed codes: six digits, five minutes, five tries, stored hashed in Valkey
(docs/contract/api.md, "login/send-code")."""

import hashlib
import hmac
import math
import secrets

from redis.asyncio import Redis

from services.user.errors import CodeInvalid, TooManyCodes

LIFETIME = 300  # seconds
TRIES = 5
PER_DAY = 10
DAY = 86_400

# Counts and stores the code in one step. Returns 0, or the seconds until another code may be sent.
STORE = """
local sent = redis.call('INCR', KEYS[2])
if sent == 1 then redis.call('EXPIRE', KEYS[2], ARGV[4]) end
if sent > tonumber(ARGV[3]) then return math.max(redis.call('TTL', KEYS[2]), 1) end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'digest', ARGV[1], 'tries', 0)
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 0
"""

# Counts the try before it compares, so that parallel guesses cannot exceed the limit.
REDEEM = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local tries = redis.call('HINCRBY', KEYS[1], 'tries', 1)
local right = tries <= tonumber(ARGV[2]) and redis.call('HGET', KEYS[1], 'digest') == ARGV[1]
if right or tries >= tonumber(ARGV[2]) then redis.call('DEL', KEYS[1]) end
return right and 1 or 0
"""

DISCARD = "if redis.call('HGET', KEYS[1], 'digest') == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class Codes:
    def __init__(self, redis: Redis, secret: str) -> None:
        self._secret = secret.encode()
        self._store, self._redeem, self._discard = map(redis.register_script, (STORE, REDEEM, DISCARD))

    async def create(self, email: str) -> str:
        """A new code for `email`, which replaces the previous one. Raises TooManyCodes."""
        code = f"{secrets.randbelow(10**6):06}"
        keys = [self._key(email), self._key(email, "sent")]
        wait = await self._store(keys=keys, args=[self._digest(email, code), LIFETIME, PER_DAY, DAY])
        if wait:
            raise TooManyCodes(retry_after=math.ceil(wait))
        return code

    async def discard(self, email: str, code: str) -> None:
        """Deletes a code that could not be delivered, unless a newer one has replaced it."""
        await self._discard(keys=[self._key(email)], args=[self._digest(email, code)])

    async def redeem(self, email: str, code: str) -> None:
        """Uses the code up. Raises CodeInvalid; the fifth wrong guess also deletes the code."""
        if not await self._redeem(keys=[self._key(email)], args=[self._digest(email, code), TRIES]):
            raise CodeInvalid

    def _key(self, email: str, suffix: str = "code") -> str:
        # The address is personal data, so the key has its hash. The braces put both keys in one cluster slot.
        return f"user:code:{{{hashlib.sha256(email.encode()).hexdigest()[:32]}}}:{suffix}"

    def _digest(self, email: str, code: str) -> str:
        return hmac.new(self._secret, f"{email}\0{code}".encode(), hashlib.sha256).hexdigest()
