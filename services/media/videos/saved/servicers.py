"""The RPCs of protos/media/v1/saves.proto."""

from protos.media.v1 import saves_pb2 as pb
from protos.media.v1.saves_pb2_grpc import SavesServicer
from protos.media.v1.videos_pb2 import VideoPage
from services.kit.context import require_caller
from services.media.resources import Resources
from services.media.videos import messages
from services.media.videos.pages import PageRequest
from services.media.videos.saved import collections, saves
from services.media.videos.saved.collections import CollectionCount


class Saves(SavesServicer):
    def __init__(self, service: Resources) -> None:
        self._database, self._signer = service.database, service.signer

    async def SaveVideo(self, request: pb.SaveVideoRequest, context: object) -> pb.SaveVideoResponse:
        async with self._database.transaction() as connection:
            await saves.save_video(connection, require_caller(), request.video_id, request.collection_id)
        return pb.SaveVideoResponse()

    async def UnsaveVideo(self, request: pb.UnsaveVideoRequest, context: object) -> pb.UnsaveVideoResponse:
        async with self._database.reading() as connection:
            await saves.unsave_video(connection, require_caller(), request.video_id)
        return pb.UnsaveVideoResponse()

    async def ListSavedVideos(self, request: pb.ListSavedVideosRequest, context: object) -> VideoPage:
        wanted = (request.collection_id, PageRequest.of(request))
        async with self._database.reading() as connection:
            page = await saves.list_saved(connection, require_caller(), *wanted)
        return messages.video_page(page, self._signer)

    async def BatchGetSaved(self, request: pb.BatchGetSavedRequest, context: object) -> pb.BatchGetSavedResponse:
        async with self._database.reading() as connection:
            ids = await saves.get_saved(connection, require_caller(), request.video_ids)
        return pb.BatchGetSavedResponse(video_ids=ids)

    async def ListCollections(self, request: pb.ListCollectionsRequest, context: object) -> pb.ListCollectionsResponse:
        async with self._database.reading() as connection:
            found, saved = await collections.list_collections(connection, require_caller())
        return pb.ListCollectionsResponse(collections=map(_collection, found), saved_count=saved)

    async def CreateCollection(self, request: pb.CreateCollectionRequest, context: object) -> pb.Collection:
        async with self._database.transaction() as connection:
            return _collection(await collections.create_collection(connection, require_caller(), request.name))

    async def RenameCollection(self, request: pb.RenameCollectionRequest, context: object) -> pb.Collection:
        wanted = (request.collection_id, request.name)
        async with self._database.transaction() as connection:
            return _collection(await collections.rename_collection(connection, require_caller(), *wanted))

    async def DeleteCollection(
        self, request: pb.DeleteCollectionRequest, context: object
    ) -> pb.DeleteCollectionResponse:
        async with self._database.transaction() as connection:
            await collections.delete_collection(connection, require_caller(), request.collection_id)
        return pb.DeleteCollectionResponse()


def _collection(found: CollectionCount) -> pb.Collection:
    return pb.Collection(collection_id=found.id, name=found.name, video_count=found.video_count)
