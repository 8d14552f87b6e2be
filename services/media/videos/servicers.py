"""The RPCs of protos/media/v1/videos.proto: unpack, one call, pack. Registers those of the rooms, too."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import grpc.aio
from sqlalchemy import Row

from protos.media.v1 import comments_pb2 as comments_pb
from protos.media.v1 import for_you_pb2, saves_pb2, tags_pb2
from protos.media.v1 import videos_pb2 as pb
from protos.media.v1.comments_pb2_grpc import add_CommentsServicer_to_server
from protos.media.v1.for_you_pb2_grpc import add_ForYouServicer_to_server
from protos.media.v1.saves_pb2_grpc import add_SavesServicer_to_server
from protos.media.v1.tags_pb2_grpc import add_TagsServicer_to_server
from protos.media.v1.videos_pb2_grpc import VideosServicer, add_VideosServicer_to_server
from services.kit.batcher import Batcher
from services.kit.context import current_caller, require_caller
from services.kit.db import after_commit
from services.kit.pages import check_batch
from services.kit.rpc.group_commit import group_commit, write_together
from services.kit.sql.connection import AsyncConnection
from services.kit.texts.word_filter import WordFilter
from services.media.errors import Overloaded
from services.media.resources import Resources
from services.media.videos import (
    chosen_covers,
    feeds,
    likes,
    list_totals,
    messages,
    pinned_videos,
    videos,
    views,
    visibility,
)
from services.media.videos.captions import captions
from services.media.videos.commenting.servicers import Comments
from services.media.videos.creating import MAX_VIDEOS, NewVideo, create_videos, create_with_files, new_video
from services.media.videos.following import feed
from services.media.videos.for_you.servicers import ForYou
from services.media.videos.likes import Change, Outcome
from services.media.videos.pages import PageRequest
from services.media.videos.saved.servicers import Saves
from services.media.videos.tagged.servicers import Tags
from services.media.videos.views import View

VIDEO_PROTOS = tuple(each.DESCRIPTOR for each in (pb, comments_pb, for_you_pb2, saves_pb2, tags_pb2))


def register_videos(service: Resources, server: grpc.aio.Server) -> None:
    add_VideosServicer_to_server(Videos(service), server)
    add_CommentsServicer_to_server(Comments(service), server)
    add_ForYouServicer_to_server(ForYou(service), server)
    add_SavesServicer_to_server(Saves(service), server)
    add_TagsServicer_to_server(Tags(service), server)


class Videos(VideosServicer):
    def __init__(self, service: Resources) -> None:
        self._service, self._database, self._signer = service, service.database, service.signer
        self._words = WordFilter(service.settings.filtered_words)
        self._likes: Batcher[Change, Outcome] = group_commit(self._write_likes, Overloaded)
        self._new_videos: Batcher[NewVideo, Row[Any]] = group_commit(self._create_videos, Overloaded, MAX_VIDEOS)
        self._views: Batcher[View, None] = group_commit(partial(views.write_views, service), Overloaded)

    async def CreateVideo(self, request: pb.CreateVideoRequest, context: object) -> pb.Video:
        self._words.check(title=request.title, description=request.description)
        fields = {field.name: getattr(request, field.name) for field in request.DESCRIPTOR.fields}
        fields["mentions"] = dict(request.mentions)
        if not request.HasField("cover_at"):
            del fields["cover_at"]
        new = new_video(require_caller(), self._service.new_id(), fields)
        if not new.has_files:
            return messages.video(await self._new_videos.submit(new), self._signer)
        async with self._database.transaction() as connection:
            row = await create_with_files(connection, require_caller(), new)
            if request.HasField("cover_at"):
                row = await self._choose_cover(connection, row.id)
        return messages.video(row, self._signer)

    async def UpdateVideo(self, request: pb.UpdateVideoRequest, context: object) -> pb.Video:
        self._words.check(title=request.title, description=request.description)
        changes = {field.name: value for field, value in request.ListFields()} | {"mentions": dict(request.mentions)}
        video_id, private = changes.pop("video_id", 0), changes.pop("private", None)
        async with self._database.transaction() as connection:
            row = await videos.update_video(connection, require_caller(), video_id, changes, private)
            if request.HasField("cover_at"):
                row = await self._choose_cover(connection, video_id)
        return messages.video(row, self._signer)

    async def _choose_cover(self, connection: AsyncConnection, video_id: int) -> Any:
        after_commit(connection, self._service.job_ready.set)
        return await chosen_covers.choose(connection, require_caller(), video_id)

    async def DeleteVideo(self, request: pb.DeleteVideoRequest, context: object) -> pb.DeleteVideoResponse:
        async with self._database.transaction() as connection:
            owner_id = await videos.delete_video(connection, require_caller(), request.video_id)
        return pb.DeleteVideoResponse(owner_id=owner_id)

    async def PinVideo(self, request: pb.PinVideoRequest, context: object) -> pb.Video:
        asked = (request.video_id, request.pinned)
        async with self._database.transaction() as connection:
            row = await pinned_videos.pin_video(connection, require_caller(), *asked)
        return messages.video(row, self._signer)

    async def SetCaptions(self, request: pb.SetCaptionsRequest, context: object) -> pb.Video:
        asked = (request.video_id, request.language, request.label, request.text)
        row = await captions.set_captions(self._service, require_caller(), *asked)
        return messages.video(row, self._signer)

    async def DeleteCaptions(self, request: pb.DeleteCaptionsRequest, context: object) -> pb.Video:
        asked = (request.video_id, request.language)
        row = await captions.delete_captions(self._service, require_caller(), *asked)
        return messages.video(row, self._signer)

    async def BatchGetVideos(self, request: pb.BatchGetVideosRequest, context: object) -> pb.BatchGetVideosResponse:
        async with self._database.reading() as connection:
            rows = await videos.get_cards(connection, current_caller.get(), request.video_ids)
        return pb.BatchGetVideosResponse(videos=[messages.video(row, self._signer) for row in rows])

    async def ListVideos(self, request: pb.ListVideosRequest, context: object) -> pb.VideoPage:
        wanted = (request.order, PageRequest.of(request), request.seed)
        async with self._database.reading() as connection:
            page = await feeds.list_videos(connection, current_caller.get(), *wanted, request.public_as_ids)
        return messages.video_page(page, self._signer)

    async def ListUserVideos(self, request: pb.ListUserVideosRequest, context: object) -> pb.VideoPage:
        wanted = (request.user_id, PageRequest.of(request))
        async with self._database.reading() as connection:
            page = await feeds.list_user_videos(connection, current_caller.get(), *wanted)
        return messages.video_page(page, self._signer)

    async def ListLikedVideos(self, request: pb.ListLikedVideosRequest, context: object) -> pb.VideoPage:
        wanted = (PageRequest.of(request), request.public_as_ids)
        async with self._database.reading() as connection:
            page = await feeds.list_liked_videos(connection, require_caller(), *wanted)
        return messages.video_page(page, self._signer)

    async def SearchVideos(self, request: pb.SearchVideosRequest, context: object) -> pb.VideoPage:
        wanted = (request.query, PageRequest.of(request))
        async with self._database.reading() as connection:
            page = await feeds.search_videos(connection, current_caller.get(), *wanted)
        return messages.video_page(page, self._signer)

    async def SetVideoLikes(self, request: pb.SetVideoLikesRequest, context: object) -> pb.SetVideoLikesResponse:
        check_batch(request.changes)
        outcomes = await write_together(self._likes, map(messages.like_change, request.changes))
        return pb.SetVideoLikesResponse(outcomes=map(messages.like_outcome, outcomes))

    async def BatchGetLiked(self, request: pb.BatchGetLikedRequest, context: object) -> pb.BatchGetLikedResponse:
        pairs = [(pair.video_id, pair.user_id) for pair in request.pairs]
        async with self._database.reading() as connection:
            liked = await likes.get_liked(connection, pairs)
        return pb.BatchGetLikedResponse(liked=liked)

    async def ShareVideo(self, request: pb.ShareVideoRequest, context: object) -> pb.ShareVideoResponse:
        async with self._database.transaction() as connection:
            await likes.share_video(connection, require_caller(), request.video_id)
        return pb.ShareVideoResponse()

    async def ViewVideo(self, request: pb.ViewVideoRequest, context: object) -> pb.ViewVideoResponse:
        counted = await views.count_view(
            self._service, self._views, require_caller(), request.video_id, request.watched_seconds
        )
        return pb.ViewVideoResponse(counted=counted)

    async def ListFollowedVideos(self, request: pb.ListFollowedVideosRequest, context: object) -> pb.VideoPage:
        wanted = (PageRequest.of(request), request.public_as_ids)
        async with self._database.reading() as connection:
            found = await feed.list_followed(connection, require_caller(), *wanted)
        answer = messages.video_page(found.page, self._signer)
        answer.seen_id = found.seen_id
        return answer

    async def CountUnseen(self, request: pb.CountUnseenRequest, context: object) -> pb.CountUnseenResponse:
        async with self._database.reading() as connection:
            return pb.CountUnseenResponse(count=await feed.count_unseen(connection, require_caller()))

    async def MarkSeen(self, request: pb.MarkSeenRequest, context: object) -> pb.MarkSeenResponse:
        async with self._database.transaction() as connection:
            await feed.mark_seen(connection, require_caller(), request.video_id)
        return pb.MarkSeenResponse()

    async def BatchGetOwnerStats(
        self, request: pb.BatchGetOwnerStatsRequest, context: object
    ) -> pb.BatchGetOwnerStatsResponse:
        async with self._database.transaction() as connection:
            rows = await list_totals.get_owner_stats(connection, request.user_ids)
        stats = (pb.OwnerStats(video_count=videos, likes_received=likes) for videos, likes in rows)
        return pb.BatchGetOwnerStatsResponse(stats=stats)

    async def BatchGetAudiences(
        self, request: pb.BatchGetAudiencesRequest, context: object
    ) -> pb.BatchGetAudiencesResponse:
        async with self._database.reading() as connection:
            scopes = await visibility.get_viewer_scopes(connection, request.user_ids)
        return pb.BatchGetAudiencesResponse(audiences=map(messages.audience, scopes))

    async def _create_videos(self, new: list[NewVideo]) -> Sequence[Row[Any]]:
        async with self._database.transaction() as connection:
            return await create_videos(connection, new)

    async def _write_likes(self, changes: list[Change]) -> Sequence[Outcome]:
        async with self._database.transaction() as connection:
            return await likes.change_likes(connection, likes.VIDEO, changes)
