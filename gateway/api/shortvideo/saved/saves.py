"""api/saved/*: the videos that the caller saved, and the collections that they are in. Nobody else sees them."""

from msgspec import Struct

from gateway.api.shortvideo.feeds import FEED, VideoPaging
from gateway.api.shortvideo.users import OURS
from gateway.api.shortvideo.video_views import VideoPage, video_page
from gateway.api.shortvideo.videos import VIDEO, OfVideo, check_actor
from gateway.container import Call
from gateway.http.endpoint import NoParams, endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.params import Id, OptionalId, Text
from protos.media.v1 import saves_pb2 as pb
from protos.media.v1 import videos_pb2


class SaveVideo(OfVideo, kw_only=True):
    """`collection_id`: one of the caller's; without it the video is in none."""

    collection_id: OptionalId = 0


class OfCollection(VideoPaging, kw_only=True):
    """Without `collection_id` all that the caller saved."""

    collection_id: OptionalId = 0


class AskedVideos(Struct):
    """At most 500."""

    video_ids: list[Id]


class SavedVideos(Struct):
    video_ids: list[str]


class CollectionView(Struct):
    """`video_count` counts what is saved, also what the caller may no longer see."""

    collection_id: str
    name: str
    video_count: str


class Collections(Struct):
    """By name. `saved_count`: videos that the caller saved, also in no collection."""

    collections: list[CollectionView]
    saved_count: str


class CollectionName(Struct):
    name: Text


class RenameCollection(Struct):
    collection_id: Id
    name: Text


class OneCollection(Struct):
    collection_id: Id


@endpoint("POST", "/api/saved/save-video", family=SHORT_VIDEO, limit=VIDEO)
async def save_video(call: Call, params: SaveVideo) -> None:
    """Save a video for oneself, or move it to another of one's collections; nobody is told."""
    check_actor(call, params)
    request = pb.SaveVideoRequest(video_id=params.video_id, collection_id=params.collection_id)
    await call.container.saves.SaveVideo(request)


@endpoint("POST", "/api/saved/unsave-video", family=SHORT_VIDEO, limit=VIDEO)
async def unsave_video(call: Call, params: OfVideo) -> None:
    """Take a video out of those that one saved; repeating it changes nothing."""
    check_actor(call, params)
    await call.container.saves.UnsaveVideo(pb.UnsaveVideoRequest(video_id=params.video_id))


@endpoint("GET", "/api/saved/videos", family=SHORT_VIDEO, limit=FEED)
async def saved_videos(call: Call, params: OfCollection) -> VideoPage:
    """The videos that the caller saved and may still see, the last saved first; `total` is not counted."""
    if params.is_beyond_pages:
        return await video_page(call, params, videos_pb2.VideoPage())
    request = pb.ListSavedVideosRequest(
        collection_id=params.collection_id, cursor=params.cursor, limit=params.limit, offset=params.offset
    )
    return await video_page(call, params, await call.container.saves.ListSavedVideos(request))


@endpoint("GET", "/api/saved/state", family=SHORT_VIDEO, limit=FEED)
async def saved_state(call: Call, params: AskedVideos) -> SavedVideos:
    """Which of the videos the caller saved, for the buttons of a page of videos."""
    found = await call.container.saves.BatchGetSaved(pb.BatchGetSavedRequest(video_ids=params.video_ids))
    return SavedVideos([str(id) for id in found.video_ids])


@endpoint("GET", "/api/saved/collections", family=SHORT_VIDEO, limit=OURS)
async def list_collections(call: Call, params: NoParams) -> Collections:
    """The caller's collections, by name."""
    found = await call.container.saves.ListCollections(pb.ListCollectionsRequest())
    return Collections([_view(each) for each in found.collections], str(found.saved_count))


@endpoint("POST", "/api/saved/create-collection", family=SHORT_VIDEO, limit=OURS)
async def create_collection(call: Call, params: CollectionName) -> CollectionView:
    """Make a collection; if there is one of this name, it is the answer."""
    return _view(await call.container.saves.CreateCollection(pb.CreateCollectionRequest(name=params.name)))


@endpoint("POST", "/api/saved/rename-collection", family=SHORT_VIDEO, limit=OURS)
async def rename_collection(call: Call, params: RenameCollection) -> CollectionView:
    """Give a collection another name."""
    request = pb.RenameCollectionRequest(collection_id=params.collection_id, name=params.name)
    return _view(await call.container.saves.RenameCollection(request))


@endpoint("POST", "/api/saved/delete-collection", family=SHORT_VIDEO, limit=OURS)
async def delete_collection(call: Call, params: OneCollection) -> None:
    """Delete a collection; its videos stay saved, in none."""
    await call.container.saves.DeleteCollection(pb.DeleteCollectionRequest(collection_id=params.collection_id))


def _view(collection: pb.Collection) -> CollectionView:
    return CollectionView(str(collection.collection_id), collection.name, str(collection.video_count))


endpoints = [
    save_video,
    unsave_video,
    saved_videos,
    saved_state,
    list_collections,
    create_collection,
    rename_collection,
    delete_collection,
]
