"""What the near caches were asked, read when it is scraped: a lookup pays for an addition, and no more."""

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from gateway.cache.dataloader import NearCache


class _Caches(Collector):
    def __init__(self) -> None:
        self.shown: Mapping[str, NearCache[Any, Any]] = {}

    def collect(self) -> Iterator[CounterMetricFamily]:
        looked_up = CounterMetricFamily("hitok_cache_lookups", "Keys looked up", labels=["cache", "outcome"])
        for name, cache in self.shown.items():
            looked_up.add_metric([name, "hit"], cache.hits)
            looked_up.add_metric([name, "miss"], cache.misses)
        yield looked_up


_caches = _Caches()
REGISTRY.register(_caches)


def show_caches(**caches: NearCache[Any, Any]) -> None:
    """From now on these, by name; of two gateways in one process the later one's."""
    _caches.shown = caches
