"""The media service's metadata of stored files, cached for a second."""

from collections.abc import Mapping

from gateway.cache.near_caches.near_cache import NearCache
from protos.media.v1.objects_pb2 import BatchGetObjectsRequest, Object
from protos.media.v1.objects_pb2_grpc import ObjectsStub

TTL, MAX_FILES = 1.0, 20_000


def stored_files(objects: ObjectsStub) -> NearCache[str, Object]:
    """Loads by hash."""

    async def fetch(hashes: list[str]) -> Mapping[str, Object]:
        response = await objects.BatchGetObjects(BatchGetObjectsRequest(hashes=hashes))
        return {object.hash: object for object in response.objects}

    return NearCache(fetch, TTL, MAX_FILES)
