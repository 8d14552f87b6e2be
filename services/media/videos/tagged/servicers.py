"""The RPCs of protos/media/v1/tags.proto."""

from datetime import UTC, datetime

from protos.media.v1 import tags_pb2 as pb
from protos.media.v1.tags_pb2_grpc import TagsServicer
from protos.media.v1.videos_pb2 import VideoPage
from services.kit.context import current_caller
from services.media.resources import Resources
from services.media.tags import trending
from services.media.videos import messages
from services.media.videos.pages import PageRequest
from services.media.videos.tagged import feed


class Tags(TagsServicer):
    def __init__(self, service: Resources) -> None:
        self._database, self._signer = service.database, service.signer

    async def ListTagVideos(self, request: pb.ListTagVideosRequest, context: object) -> VideoPage:
        wanted = (request.name, PageRequest.of(request), request.public_as_ids)
        async with self._database.reading() as connection:
            page = await feed.list_tagged(connection, current_caller.get(), *wanted)
        return messages.video_page(page, self._signer)

    async def ListTrendingTags(self, request: pb.ListTrendingTagsRequest, context: object) -> pb.TagList:
        async with self._database.reading() as connection:
            found = await trending.list_trending(connection, datetime.now(UTC).date(), request.limit)
        return pb.TagList(tags=[pb.Tag(name=tag.name, video_count=tag.video_count) for tag in found])

    async def SuggestTags(self, request: pb.SuggestTagsRequest, context: object) -> pb.TagList:
        async with self._database.reading() as connection:
            found = await trending.suggest(connection, request.typed, request.limit)
        return pb.TagList(tags=[pb.Tag(name=tag.name, video_count=tag.video_count) for tag in found])
