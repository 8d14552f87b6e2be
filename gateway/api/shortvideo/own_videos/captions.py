"""api/videos/*-captions: captions of one's own videos."""

from typing import Annotated

from msgspec import Meta, Struct

from gateway.api.shortvideo.users import OURS
from gateway.api.shortvideo.video_views import CaptionsView
from gateway.api.shortvideo.videos import OfVideo, check_actor, drop_cached
from gateway.container import Call
from gateway.files.urls import absolute
from gateway.http.endpoint import endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.params import Text
from protos.media.v1 import videos_pb2 as pb

Language = Annotated[str, Meta(min_length=2, max_length=35)]


class SetCaptions(OfVideo, kw_only=True):
    """`text` is WebVTT or SRT, at most 512 KiB; `label` is what players show, the language if it is empty."""

    language: Language
    label: str = ""
    text: Text


class DeleteCaptions(OfVideo, kw_only=True):
    language: Language


class AllCaptions(Struct):
    captions: list[CaptionsView]


@endpoint("POST", "/api/videos/set-captions", family=SHORT_VIDEO, limit=OURS)
async def set_captions(call: Call, params: SetCaptions) -> AllCaptions:
    """Add or replace the captions of one's own video in one language."""
    check_actor(call, params)
    about = {"language": params.language, "label": params.label, "text": params.text}
    return _shown(
        call, await call.container.videos.SetCaptions(pb.SetCaptionsRequest(video_id=params.video_id, **about))
    )


@endpoint("POST", "/api/videos/delete-captions", family=SHORT_VIDEO, limit=OURS)
async def delete_captions(call: Call, params: DeleteCaptions) -> AllCaptions:
    """Delete the captions of one's own video in one language; the answer has the others."""
    check_actor(call, params)
    request = pb.DeleteCaptionsRequest(video_id=params.video_id, language=params.language)
    return _shown(call, await call.container.videos.DeleteCaptions(request))


def _shown(call: Call, video: pb.Video) -> AllCaptions:
    drop_cached(call, video)
    return AllCaptions([CaptionsView(of.language, of.label, absolute(call, of.url)) for of in video.captions])


endpoints = [set_captions, delete_captions]
