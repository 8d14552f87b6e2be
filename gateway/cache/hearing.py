"""Whether the events of each service are heard. Only then may a cache keep for long what events drop.

Each service's relay says every second that its events are published (services/kit/events/relay.py). Once a service has
been silent for SILENCE, or the connection to NATS was made anew, all that was kept for long is dropped, and until the
service is heard again an entry lives as briefly as if there were no events.
"""

from collections.abc import Callable, Collection
from time import monotonic
from typing import Protocol

LASTING = 30.0  # seconds that an entry lives at most while events are heard
SILENCE = 3.0  # seconds


class Clearable(Protocol):
    def clear(self) -> None: ...


class Lasting:
    """How long a cache keeps what events of some services drop."""

    def __init__(self, services: Collection[str], seconds: float, clock: Callable[[], float]) -> None:
        self.services, self.seconds, self._clock = services, seconds, clock
        self.caches: list[Clearable] = []
        self.until, self._heard = 0.0, False

    def hears(self) -> bool:
        """Many lookups ask in each request."""
        return self._clock() < self.until

    def look(self) -> None:
        """Clears the caches when a service has fallen silent."""
        heard, self._heard = self._heard, self.hears()
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

    def beat(self, service: str) -> None:
        self._heard_until[service] = self._clock() + SILENCE
        for lasting in self._lasting:
            lasting.until = min(self._heard_until.get(each, 0.0) for each in lasting.services)

    def hears(self, *services: str) -> bool:
        now = self._clock()
        return all(now < self._heard_until.get(service, 0.0) for service in services)

    def lasting(self, *services: str, seconds: float = LASTING) -> Lasting:
        """For a cache that events of all of these services drop."""
        lasting = Lasting(services, seconds, self._clock)
        self._lasting.append(lasting)
        return lasting

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
