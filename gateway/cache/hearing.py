"""Whether the events of each service are heard. Only then may a cache keep for long what events drop.

A gateway asks every second, and each service's relay says that its events are published (services/kit/events/relay.py).
Once a service has been silent for SILENCE, or the connection to NATS was made anew, all that was kept for long is
dropped, and until the service is heard again an entry lives as briefly as if there were no events. The gateway stops
asking LASTING after the last use of a cache: no entry is left then that events have to drop.
"""

import asyncio
from collections.abc import Callable, Collection
from time import monotonic
from typing import Protocol

LASTING = 30.0  # seconds that an entry lives at most while events are heard
SILENCE = 3.0  # seconds


class Clearable(Protocol):
    def clear(self) -> None: ...


class Lasting:
    """How long a cache keeps what events of some services drop."""

    def __init__(
        self, services: Collection[str], seconds: float, clock: Callable[[], float], stirred: asyncio.Event
    ) -> None:
        """`stirred` is set when a cache is used that hears nothing."""
        self.services, self.seconds, self._clock, self._stirred = services, seconds, clock, stirred
        self.caches: list[Clearable] = []
        self.until, self.used, self._heard = 0.0, False, False

    def hears(self) -> bool:
        """Many lookups ask in each request."""
        self.used = True
        if self._clock() < self.until:
            return True
        self._stirred.set()
        return False

    def renew(self, until: float) -> None:
        self.look()  # what was kept before a silence ends
        self.until, self._heard = until, self._clock() < until

    def look(self) -> None:
        """Clears the caches when a service has fallen silent."""
        heard, self._heard = self._heard, self._clock() < self.until
        if heard and not self._heard:
            self.clear()

    def clear(self) -> None:
        for cache in self.caches:
            cache.clear()


class Hearing:
    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._heard_until: dict[str, float] = {}  # by service
        self._lasting: list[Lasting] = []
        self._used_at = clock()
        self.stirred = asyncio.Event()  # by a beat, or by the use of a cache that hears nothing

    def beat(self, service: str) -> None:
        self._heard_until[service] = self._clock() + SILENCE
        for lasting in self._lasting:
            lasting.renew(min(self._heard_until.get(each, 0.0) for each in lasting.services))
        self.stirred.set()

    def hears(self, *services: str) -> bool:
        now = self._clock()
        return all(now < self._heard_until.get(service, 0.0) for service in services)

    def lasting(self, *services: str, seconds: float = LASTING) -> Lasting:
        """For a cache that events of all of these services drop."""
        lasting = Lasting(services, seconds, self._clock, self.stirred)
        self._lasting.append(lasting)
        return lasting

    def is_wanted(self) -> bool:
        """Whether a cache was used within LASTING, or this process began then."""
        if any(lasting.used for lasting in self._lasting):
            self._used_at = self._clock()
        for lasting in self._lasting:
            lasting.used = False
        return self._clock() - self._used_at < LASTING

    def hears_any(self) -> bool:
        return any(self._clock() < until for until in self._heard_until.values())

    def look(self) -> None:
        """Call it every second."""
        for lasting in self._lasting:
            lasting.look()

    def forget(self) -> None:
        """Events may have been missed."""
        self._heard_until.clear()
        for lasting in self._lasting:
            lasting.until = 0.0
            lasting.clear()
