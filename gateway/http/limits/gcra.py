"""GCRA: a token bucket kept as one number, the time at which the bucket would be full again.

Everything that limits a rate here uses this module: TAKE inside Valkey for all gateways together, `Bucket` for this
process alone. Both are the same three lines of arithmetic; tests/gateway/http/limits/test_gcra.py holds them to each
other.
"""

from typing import NamedTuple

# Each key holds the time at which its bucket would be full again, in microseconds on Valkey's clock.
# ARGV, for each key: microseconds per token, tokens in a full bucket. Returns for each 0 for a token, else microseconds
# until there is one.
TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local waits = {}
for place, key in ipairs(KEYS) do
  local interval, capacity = tonumber(ARGV[2 * place - 1]), tonumber(ARGV[2 * place])
  local full_at = math.max(tonumber(redis.call('GET', key) or now), now) + interval
  local wait = full_at - now - interval * capacity
  if wait > 0 then
    waits[place] = math.ceil(wait)
  else
    redis.call('SET', key, string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
    waits[place] = 0
  end
end
return waits
"""


class Bucket(NamedTuple):
    """`interval`: seconds per token; `capacity`: tokens in a full bucket."""

    interval: float
    capacity: float

    def take(self, full_at: float, now: float) -> tuple[float, float]:
        """When the bucket would be full again without this token, and how many seconds are missing to it.

        At 0 or less the token was there. `full_at`: what the last `take` returned; any time in the past is a full
        bucket. The caller decides whether a refused attempt counts, by keeping what this returns or not.
        """
        full_at = max(full_at, now) + self.interval
        return full_at, full_at - now - self.interval * self.capacity
