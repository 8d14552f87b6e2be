"""The tags of the day: the same for everybody, for half a minute."""

from collections.abc import Mapping, Sequence

from gateway.cache.near_caches.refresh_ahead import RefreshAheadCache
from protos.media.v1.tags_pb2 import ListTrendingTagsRequest, Tag
from protos.media.v1.tags_pb2_grpc import TagsStub

TTL, MAX_LIMITS = 30.0, 50  # seconds, lists by their length


def trending_tags(tags: TagsStub) -> RefreshAheadCache[int, Sequence[Tag]]:
    """By how many are asked for."""

    async def fetch(limits: list[int]) -> Mapping[int, Sequence[Tag]]:
        found = (await tags.ListTrendingTags(ListTrendingTagsRequest(limit=max(limits)))).tags
        return {limit: found[:limit] for limit in limits}

    return RefreshAheadCache(fetch, TTL, MAX_LIMITS)
