"""api/search: videos, users and groups in one call."""

import asyncio
from typing import Annotated

from msgspec import Meta, Struct

from gateway.api.shortvideo.communities import community_page
from gateway.api.shortvideo.discovery.tags import TagView, shown_tags
from gateway.api.shortvideo.users import OURS
from gateway.api.shortvideo.video_views import VideoView, shown_cards, video_views
from gateway.api.shortvideo.views import Community, ListedUser, listed_user
from gateway.container import Call
from gateway.http.endpoint import endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.params import Text
from protos.media.v1.tags_pb2 import SuggestTagsRequest
from protos.media.v1.videos_pb2 import SearchVideosRequest
from protos.social.v1.groups_pb2 import SearchGroupsRequest
from protos.user.v1.users_pb2 import SearchUsersRequest


class SearchAll(Struct):
    """`limit` holds for each kind."""

    query: Text
    limit: Annotated[int, Meta(ge=1, le=20)] = 5


class Found(Struct):
    """The best of each kind; search-videos, search-users and search-communities have the rest.
    `tags` begin with the text."""

    videos: list[VideoView]
    users: list[ListedUser]
    groups: list[Community]
    tags: list[TagView]


@endpoint("GET", "/api/search", family=SHORT_VIDEO, limit=OURS)
async def search(call: Call, params: SearchAll) -> Found:
    """The best videos, users, groups and tags for a text; accents, case and a slip make no difference."""
    kinds = (_videos(call, params), _users(call, params), _groups(call, params), _tags(call, params))
    return Found(*await asyncio.gather(*kinds))


async def _videos(call: Call, params: SearchAll) -> list[VideoView]:
    page = await call.container.videos.SearchVideos(SearchVideosRequest(query=params.query, limit=params.limit))
    return await video_views(call, shown_cards(call, page, await call.container.muted_by(call.caller)))


async def _users(call: Call, params: SearchAll) -> list[ListedUser]:
    page = await call.container.users.SearchUsers(SearchUsersRequest(query=params.query, limit=params.limit))
    shown = await call.container.logins_shown_to(call.caller, [user.user_id for user in page.users])
    return [listed_user(user, user.user_id in shown) for user in page.users]


async def _groups(call: Call, params: SearchAll) -> list[Community]:
    page = await call.container.groups.SearchGroups(SearchGroupsRequest(prefix=params.query, limit=params.limit))
    return (await community_page(call, page)).groups


async def _tags(call: Call, params: SearchAll) -> list[TagView]:
    request = SuggestTagsRequest(typed=params.query, limit=params.limit)
    return (await shown_tags(call, (await call.container.tags.SuggestTags(request)).tags)).tags


endpoints = [search]
