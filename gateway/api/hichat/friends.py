"""v1/social/friend*: friend requests and friends."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field

from gateway.api.compat import hichat_original
from gateway.api.hichat import views
from gateway.api.hichat.users import READS
from gateway.container import Call
from gateway.http.endpoint import NoParams, endpoint
from gateway.http.envelopes import CHAT_SOCIAL
from gateway.http.limits.rate_limits import per_second
from gateway.http.params import Id, LongPageSize, Seconds
from protos.social.v1 import friends_pb2 as pb

# The document states no limits.
WRITES = per_second(5, 50)
ONLINE = per_second(2, 20)

Class = Annotated[int, Meta(ge=0, le=2)]
Result = Annotated[int, Meta(ge=0, le=2, description="0 unhandled, 1 accepted, 2 refused")]
Handling = Annotated[int, Meta(ge=1, le=2, description="1 accept, 2 refuse")]


class RequestFriend(Struct):
    user_uid: Id
    req_msg: str = ""
    req_time: Seconds = 0


class HandleFriendRequest(Struct):
    friend_req_id: Id
    handle_result: Handling


class ListFriendRequests(Struct):
    """`class` 1: requests by the caller; 2: requests to the caller; 0: both."""

    type: Result | None = None
    direction: Class = field(default=0, name="class")
    cursor: str = ""
    limit: LongPageSize = 100


class ListFriends(Struct):
    cursor: str = ""
    limit: LongPageSize = 100


class FriendRequestPage(Struct):
    """`next_cursor` is left out on the last page, as in every list of this family."""

    requests: list[views.FriendRequest] = field(name="list")
    next_cursor: str | UnsetType = UNSET


class FriendPage(Struct):
    friends: list[views.Friend] = field(name="list")
    next_cursor: str | UnsetType = UNSET


class Online(Struct):
    """`true` for each user who is online; the others are left out."""

    online: dict[str, bool] = field(name="onLineList")


@endpoint("POST", "/friend/putIn", "/v1/social/friend/putIn", family=CHAT_SOCIAL, limit=WRITES)
async def request_friend(call: Call, params: RequestFriend) -> None:
    """Ask a user to become friends; a repeat before they answer changes nothing."""
    await call.container.require_user(params.user_uid)
    request = pb.RequestFriendRequest(user_id=params.user_uid, message=params.req_msg, requested_at=params.req_time)
    await call.container.friends.RequestFriend(request)
    call.container.drop_pair(call.caller, params.user_uid)


@endpoint("PUT", "/v1/social/friend/putIn", family=CHAT_SOCIAL, limit=WRITES)
async def handle_friend_request(call: Call, params: HandleFriendRequest) -> None:
    """Accept or refuse a request to the caller; final."""
    result = pb.Result.ValueType(params.handle_result)
    request = pb.HandleFriendRequestRequest(request_id=params.friend_req_id, result=result)
    handled = await call.container.friends.HandleFriendRequest(request)
    call.container.drop_pair(call.caller, handled.user_id)


@endpoint("GET", "/v1/socialfriend/putIns", "/v1/social/friend/putIns", family=CHAT_SOCIAL, limit=READS)
async def list_friend_requests(call: Call, params: ListFriendRequests) -> FriendRequestPage:
    """Friend requests by and to the caller, the oldest first."""
    is_original = "hichat-original" in call.container.settings.compat
    direction = hichat_original.read_class(params.direction) if is_original else params.direction
    request = pb.ListFriendRequestsRequest(
        direction=pb.Direction.ValueType(direction),
        results=[] if params.type is None else [pb.Result.ValueType(params.type)],
        cursor=params.cursor,
        limit=params.limit,
    )
    page = await call.container.friends.ListFriendRequests(request)
    return FriendRequestPage(list(map(views.friend_request, page.requests)), page.next_cursor or UNSET)


@endpoint("GET", "/v1/social/friends", family=CHAT_SOCIAL, limit=READS)
async def list_friends(call: Call, params: ListFriends) -> FriendPage:
    """The caller's friends, the oldest friendship first."""
    page = await call.container.friends.ListFriends(pb.ListFriendsRequest(cursor=params.cursor, limit=params.limit))
    cards = await call.container.cards.load_many(friend.user_id for friend in page.friends)
    friends = [views.friend(friend, cards[friend.user_id]) for friend in page.friends if friend.user_id in cards]
    return FriendPage(friends, page.next_cursor or UNSET)


@endpoint("GET", "/v1/social/friends/online", family=CHAT_SOCIAL, limit=ONLINE)
async def list_online_friends(call: Call, params: NoParams) -> Online:
    """The caller's friends who are online, agreed to the friendship and show it; up to a second old."""

    async def read_ids() -> Sequence[int]:
        return (await call.container.friends.ListFriendIds(pb.ListFriendIdsRequest(presence=True))).user_ids

    return await list_online(call, 0, read_ids)


async def list_online(call: Call, group_id: int, read_ids: Callable[[], Awaitable[Sequence[int]]]) -> Online:
    """Of the users that `read_ids` returns; kept for a second for this caller. `group_id` 0: the caller's friends."""
    key = (call.caller.user_id, group_id)
    online = call.container.online.get(key)
    if online is None:
        online = {str(user_id): True for user_id in await call.container.online_users.among(await read_ids())}
        call.container.online.put(key, online)
    return Online(online)


endpoints = [request_friend, handle_friend_request, list_friend_requests, list_friends, list_online_friends]
