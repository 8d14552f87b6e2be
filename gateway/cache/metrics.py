"""How often each near cache was asked and had the answer. Read at each scrape, so that a lookup costs one addition."""

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from gateway.cache.near_caches.near_cache import NearCache


class _CacheCollector(Collector):
    def __init__(self) -> None:
        self.caches: Mapping[str, NearCache[Any, Any]] = {}

    def collect(self) -> Iterator[CounterMetricFamily]:
        lookups = CounterMetricFamily("hitok_cache_lookups", "Keys looked up", labels=["cache", "outcome"])
        for name, cache in self.caches.items():
            lookups.add_metric([name, "hit"], cache.hits)
            lookups.add_metric([name, "miss"], cache.misses)
        yield lookups


_collector = _CacheCollector()
REGISTRY.register(_collector)


def show_caches(**caches: NearCache[Any, Any]) -> None:
    """Exports these caches by name, in place of those of an earlier call, as a second gateway in one process makes."""
    _collector.caches = caches
