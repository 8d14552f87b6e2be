"""Mailed codes: six digits, five minutes, five tries, stored hashed in Valkey (docs/contract/api.md,
"login/send-code").

An address has a code for each purpose and network that asked for one, so nobody can replace the code of another user. A
code has five tries for the network that asked for it, and five for all other networks together, so strangers cannot
void it.
"""

import hashlib
import hmac
import math
import secrets

from redis.asyncio import Redis

from services.kit.context import network_of
from services.user.errors import CodeInvalid, TooManyCodes

LIFETIME = 300  # seconds
TRIES = 5
PER_DAY = 10  # codes to one address, whatever its `+tag`; as many again from networks that its account knows
DAY = 86_400  # seconds
ANY, REGISTERING, RESETTING, BINDING = "any", "registering", "resetting", "binding"
PURPOSES = (ANY, REGISTERING, RESETTING, BINDING)  # in the order of protos/user/v1's CodePurpose

# Counts and stores the code in one step. Returns 0, or the seconds until another code may be sent.
STORE = """
local sent = redis.call('INCR', KEYS[2])
if sent == 1 then redis.call('EXPIRE', KEYS[2], ARGV[5]) end
if sent > tonumber(ARGV[4]) then return math.max(redis.call('TTL', KEYS[2]), 1) end
local slot, ends = ARGV[1], redis.call('TIME')[1] + ARGV[3]
redis.call('HSET', KEYS[1], slot, ARGV[2], slot .. ':ends', ends, slot .. ':own', 0, slot .. ':others', 0)
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 0
"""

# Counts the try before it compares, so that parallel guesses cannot exceed the limit.
REDEEM = """
local now, right = tonumber(redis.call('TIME')[1]), false
for _, slot in ipairs(redis.call('HKEYS', KEYS[1])) do
  local purpose, network = string.match(slot, '^(%l+)/(%x*)$')
  if purpose and (purpose == 'any' or purpose == ARGV[2]) then
    local tries = redis.call('HINCRBY', KEYS[1], slot .. (network == ARGV[3] and ':own' or ':others'), 1)
    local fresh = now < tonumber(redis.call('HMGET', KEYS[1], slot .. ':ends')[1])
    if fresh and tries <= tonumber(ARGV[4]) and redis.call('HGET', KEYS[1], slot) == ARGV[1] then right = true end
  end
end
if right then redis.call('DEL', KEYS[1]) end
return right and 1 or 0
"""

DISCARD = """
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
  redis.call('HDEL', KEYS[1], ARGV[1], ARGV[1] .. ':ends', ARGV[1] .. ':own', ARGV[1] .. ':others')
end
"""


class Codes:
    def __init__(self, redis: Redis, secret: str) -> None:
        self._secret = secret.encode()
        self._store, self._redeem, self._discard = map(redis.register_script, (STORE, REDEEM, DISCARD))

    async def create(self, address: str, purpose: str = ANY, ip: str = "", known: bool = False) -> str:
        """A new code for `address`. It replaces the one that this network asked for before. Raises TooManyCodes.

        `known`: the account of the address knows the network, which then has an allowance apart from that of strangers.
        """
        code = f"{secrets.randbelow(10**6):06}"
        keys = [self._key(address), self._key(_without_tag(address), "sent-known" if known else "sent")]
        args: list[str | int] = [self._slot(purpose, ip), self._digest(address, code), LIFETIME, PER_DAY, DAY]
        wait = await self._store(keys=keys, args=args)
        if wait:
            raise TooManyCodes(retry_after=math.ceil(wait))
        return code

    async def discard(self, address: str, code: str, purpose: str = ANY, ip: str = "") -> None:
        """Deletes a code that could not be delivered, unless a newer one has replaced it."""
        await self._discard(keys=[self._key(address)], args=[self._slot(purpose, ip), self._digest(address, code)])

    async def redeem(self, address: str, code: str, purpose: str = ANY, ip: str = "") -> None:
        """Uses up the codes of the address. Raises CodeInvalid, also for a code of another purpose."""
        args: list[str | int] = [self._digest(address, code), purpose, self._network(ip), TRIES]
        if not await self._redeem(keys=[self._key(address)], args=args):
            raise CodeInvalid

    def _key(self, address: str, suffix: str = "code") -> str:
        # Addresses are personal data, so the keys have hashes. The braces put an address's keys in one cluster slot.
        return f"user:code:{{{_short_hash(_without_tag(address))}}}:{_short_hash(address)}:{suffix}"

    def _slot(self, purpose: str, ip: str) -> str:
        return f"{purpose}/{self._network(ip)}"

    def _network(self, ip: str) -> str:
        return hmac.new(self._secret, network_of(ip).encode(), hashlib.sha256).hexdigest()[:32]

    def _digest(self, address: str, code: str) -> str:
        return hmac.new(self._secret, f"{address}\0{code}".encode(), hashlib.sha256).hexdigest()


def _without_tag(address: str) -> str:
    """`name+tag@host` is a mailbox of `name@host` at most providers."""
    local, at, host = address.rpartition("@")
    return (local.partition("+")[0] or local) + at + host


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
