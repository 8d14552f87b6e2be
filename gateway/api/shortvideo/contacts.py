"""api/contact/*: friends, blocks, and users who are online."""

from collections.abc import Iterable

from msgspec import Struct

from gateway.api.shortvideo.users import OURS
from gateway.api.shortvideo.views import ListedUser, listed, listed_user
from gateway.chat.commands import recheck
from gateway.container import Call
from gateway.http.endpoint import endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.errors import ActorForged, ParameterMissing, UserNotFound
from gateway.http.limits.rate_limits import per_minute
from gateway.http.params import Id, LongPageSize, PageNumber, PageSize, Paging, Text
from protos.social.v1 import friends_pb2 as pb
from protos.user.v1.users_pb2 import SearchUsersRequest

CONTACT = per_minute(20, 40)


class AddFriend(Struct):
    """The username, by either name of the field."""

    username: Text | None = None
    user_name: Text | None = None


class ListFriends(Paging):
    """`user_id`, if given, is the caller's own."""

    user_id: Id | None = None


class ListOnline(Struct):
    limit: LongPageSize = 100
    page: PageNumber = 1
    cursor: str = ""


class Target(Struct):
    """The other user. In this family `user_id` always means the caller."""

    target_id: Id


class SetRemark(Struct):
    target_id: Id
    remark: str


class ListPage(Struct):
    cursor: str = ""
    limit: PageSize = 20


class Search(Struct):
    query: Text
    cursor: str = ""
    limit: PageSize = 20


class UserPage(Struct):
    """`next_cursor` is empty on the last page."""

    users: list[ListedUser]
    next_cursor: str


async def user_page(call: Call, user_ids: Iterable[int], next_cursor: str, shown: set[int] | None = None) -> UserPage:
    """The users in the order of the ids, without deleted accounts.

    `shown`: those of them who let the caller see their last login; None: they are looked up.
    """
    ids = list(user_ids)
    if shown is None:
        shown = await call.container.logins_shown_to(call.caller, ids)
    cards = await call.container.cards.load_many(ids)
    return UserPage([listed(cards[id], id in shown) for id in ids if id in cards], next_cursor)


@endpoint("POST", "/api/contact/add-friend", family=SHORT_VIDEO, limit=CONTACT)
async def add_friend(call: Call, params: AddFriend) -> None:
    """Become friends with the user of that name, without a request, or agree to having been added by them.

    It opens nothing of theirs before they agree too. It becomes a request if they removed or refused the caller, or
    want to be asked.
    """
    name = params.username or params.user_name
    if name is None:
        raise ParameterMissing(field="username")
    user = await call.container.names.load(name)
    if user is None:
        raise UserNotFound(field="username")
    await call.container.friends.AddFriend(pb.AddFriendRequest(user_id=user.user_id))
    call.container.drop_pair(call.caller, user.user_id)


@endpoint("POST", "/api/contact/get-friend-list", family=SHORT_VIDEO, limit=CONTACT)
async def get_friend_list(call: Call, params: ListFriends) -> UserPage:
    """The caller's friends, the oldest friendship first."""
    if params.user_id not in (None, call.caller.user_id):
        raise ActorForged
    request = pb.ListFriendsRequest(cursor=params.cursor, limit=params.page_size, offset=params.offset)
    page = await call.container.friends.ListFriends(request)
    shown = {friend.user_id for friend in page.friends if friend.shows_last_login}
    return await user_page(call, (friend.user_id for friend in page.friends), page.next_cursor, shown)


@endpoint("GET", "/api/contact/get-user-list-online", family=SHORT_VIDEO, limit=CONTACT, auth=False, reads_token=True)
async def get_user_list_online(call: Call, params: ListOnline) -> UserPage:
    """Users with a WebSocket, or a request within the last minute, who show it to everyone; the last seen first; up to
    a second old."""
    offset = 0 if params.cursor else (params.page - 1) * params.limit
    page = await call.container.online_users.page(call.caller.user_id, params.cursor, offset, params.limit)
    return await user_page(call, page.user_ids, page.next_cursor)


@endpoint("POST", "/api/contact/delete-friend", family=SHORT_VIDEO, limit=OURS)
async def delete_friend(call: Call, params: Target) -> None:
    """End a friendship for both users; the other has to ask from then on. Without a friendship nothing changes."""
    await call.container.friends.DeleteFriend(pb.DeleteFriendRequest(user_id=params.target_id))
    call.container.drop_pair(call.caller, params.target_id)
    await recheck(call.container.chat, user_id=params.target_id)


@endpoint("POST", "/api/contact/set-remark", family=SHORT_VIDEO, limit=OURS)
async def set_remark(call: Call, params: SetRemark) -> None:
    """Set a private name for a friend, which only the caller sees. An empty one restores the friend's nickname."""
    await call.container.friends.SetRemark(pb.SetRemarkRequest(user_id=params.target_id, remark=params.remark))


@endpoint("POST", "/api/contact/block", family=SHORT_VIDEO, limit=OURS)
async def block(call: Call, params: Target) -> None:
    """Block a user, which also ends a friendship with them. They are not told."""
    await call.container.require_user(params.target_id)
    await call.container.friends.Block(pb.BlockRequest(user_id=params.target_id))
    call.container.drop_pair(call.caller, params.target_id)
    await recheck(call.container.chat, user_id=params.target_id)


@endpoint("POST", "/api/contact/unblock", family=SHORT_VIDEO, limit=OURS)
async def unblock(call: Call, params: Target) -> None:
    """Unblock a user; a former friendship does not come back."""
    await call.container.friends.Unblock(pb.UnblockRequest(user_id=params.target_id))
    call.container.drop_pair(call.caller, params.target_id)


@endpoint("GET", "/api/contact/get-block-list", family=SHORT_VIDEO, limit=OURS)
async def get_block_list(call: Call, params: ListPage) -> UserPage:
    """The users whom the caller has blocked, the last blocked first."""
    page = await call.container.friends.ListBlocks(pb.ListBlocksRequest(cursor=params.cursor, limit=params.limit))
    return await user_page(call, page.user_ids, page.next_cursor, shown=set())


@endpoint("GET", "/api/contact/search-users", family=SHORT_VIDEO, limit=OURS)
async def search_users(call: Call, params: Search) -> UserPage:
    """Users by their username, or by a whole phone or email if they allow it; accents and case make no difference."""
    request = SearchUsersRequest(query=params.query, cursor=params.cursor, limit=params.limit)
    page = await call.container.users.SearchUsers(request)
    shown = await call.container.logins_shown_to(call.caller, [user.user_id for user in page.users])
    return UserPage([listed_user(user, user.user_id in shown) for user in page.users], page.next_cursor)


endpoints = [
    add_friend,
    get_friend_list,
    get_user_list_online,
    delete_friend,
    set_remark,
    block,
    unblock,
    get_block_list,
    search_users,
]
