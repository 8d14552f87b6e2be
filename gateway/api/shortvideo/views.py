"""JSON of users and groups: the fields of the short-video document's samples and of its schemas, side by side."""

import itertools
from typing import cast

import msgspec
from msgspec import Struct, field, structs

from gateway.api.fragments import Fragments
from gateway.cache.profile_numbers import ProfileNumbers
from gateway.files.pictures import PictureFacts
from protos.social.v1.follows_pb2 import FollowState
from protos.social.v1.groups_pb2 import Group
from protos.user.v1.accounts_pb2 import Session
from protos.user.v1.users_pb2 import User
from services.client_json.times import rfc3339


class UserView(Struct):
    """The sample's `user`. `password` is always "", and so are private fields that the viewer may not see."""

    id: str
    created_time: str = field(name="CreatedTime")
    updated_time: str = field(name="UpdatedTime")
    username: str
    password: str
    email: str
    avatar: str
    role: str
    phone: str = field(name="Phone")
    client_ip: str = field(name="ClientIp")
    client_port: str = field(name="ClientPort")
    login_time: str = field(name="LoginTime")
    heartbeat_time: str = field(name="HeartbeatTime")
    login_out_time: str
    is_logout: bool = field(name="IsLogout")
    device_info: str = field(name="DeviceInfo")
    sample_bio: str = field(name="Bio")
    bio: str


class ListedUser(UserView):
    """A user in a list: the sample's `user` and the schema's `create_at`, without private fields."""

    create_at: str


class FollowUser(ListedUser):
    """A user in a list of follows. `is_mutual`: the caller and the user follow each other."""

    is_following: bool
    follow_requested: bool
    follows_me: bool
    is_mutual: bool


class Community(Struct):
    """A group: the fields of the sample, of the schema, and our own. Times in Unix milliseconds."""

    id: str
    created_time: str = field(name="CreatedTime")
    updated_time: str = field(name="UpdatedTime")
    name: str
    owner_id: str
    owner_name: str
    img: str
    desc: str
    description: str
    creator_id: str
    created_at: str
    updated_at: str
    approval: bool
    announcement: str
    member_count: int


class Profile(Struct):
    """The schema's fields at top level, the sample's under `user`. `create_at` in Unix milliseconds.

    `searchable_by_phone` and `searchable_by_email` are false for viewers other than the user and admins.
    `followers_count`, `following_count`, `likes_received` (of their videos) and `videos_count` (public ones) are null
    while the service that counts is away. `is_mutual`: the caller and the user follow each other.
    `avatar_blurhash`, `avatar_width` and `avatar_height` (pixels) are empty and 0 for a picture of another site.
    """

    id: str
    username: str
    avatar: str
    role: str
    bio: str
    create_at: str
    email: str
    user: UserView
    searchable_by_phone: bool
    searchable_by_email: bool
    avatar_blurhash: str
    avatar_width: int
    avatar_height: int
    followers_count: int | None
    following_count: int | None
    likes_received: int | None
    videos_count: int | None
    is_following: bool
    follow_requested: bool
    follows_me: bool
    is_mutual: bool


class SessionView(Struct):
    """Times are RFC 3339. `network` is the one that `ip` is in: /24, or /48 of IPv6."""

    session_id: str
    device: str
    ip: str
    network: str
    created_at: str
    last_seen_at: str
    expires_at: str
    current: bool


def user_view(user: User, shows_login: bool) -> UserView:
    """A time that has not happened yet is shown as the account's creation, as in the sample. So is each time of the
    user's last session, unless `shows_login`."""
    login = user if shows_login else User()
    return UserView(
        id=str(user.user_id),
        created_time=str(user.created_at),
        updated_time=str(user.updated_at),
        username=user.username,
        password="",
        email=user.email,
        avatar=user.avatar,
        role=str(user.role),
        phone=user.phone,
        client_ip=user.client_ip,
        client_port=str(user.client_port or ""),
        login_time=rfc3339(login.login_at or user.created_at),
        heartbeat_time=rfc3339(login.heartbeat_at or user.created_at),
        login_out_time=rfc3339(login.logout_at or user.created_at),
        is_logout=login.is_logout,
        device_info=user.device,
        sample_bio=user.bio,
        bio=user.bio,
    )


def profile_of(user: User, shows_login: bool, avatar: PictureFacts, numbers: ProfileNumbers) -> Profile:
    state = numbers.state or FollowState()
    view = user_view(user, shows_login)
    return Profile(
        id=view.id,
        username=view.username,
        avatar=view.avatar,
        role=view.role,
        bio=view.bio,
        create_at=view.created_time,
        email=view.email,
        user=view,
        searchable_by_phone=user.searchable_by_phone,
        searchable_by_email=user.searchable_by_email,
        avatar_blurhash=avatar.blurhash,
        avatar_width=avatar.width,
        avatar_height=avatar.height,
        followers_count=numbers.follows and numbers.follows.followers,
        following_count=numbers.follows and numbers.follows.following,
        likes_received=numbers.videos and numbers.videos.likes_received,
        videos_count=numbers.videos and numbers.videos.video_count,
        is_following=state.follows,
        follow_requested=state.requested,
        follows_me=state.follows_me,
        is_mutual=state.follows and state.follows_me,
    )


def listed_user(user: User, shows_login: bool) -> ListedUser:
    """`user` is a public card."""
    view = user_view(user, shows_login)
    return ListedUser(**structs.asdict(view), create_at=view.created_time)


def listed(user: User, shows_login: bool) -> ListedUser:
    """A ListedUser as JSON, written anew only when the card has changed."""
    return cast(ListedUser, (_listed_with_login if shows_login else _listed).of(user.user_id, user))


def followed(user: User, shows_login: bool, state: FollowState) -> FollowUser:
    """A FollowUser as JSON, of that of a ListedUser, which is copied."""
    raw = bytes(cast(msgspec.Raw, listed(user, shows_login)))
    return cast(FollowUser, msgspec.Raw(raw[:-1] + _FOLLOWS[state.follows, state.requested, state.follows_me]))


def _follow_fields(follows: bool, requested: bool, follows_me: bool) -> bytes:
    """The fields that FollowUser adds, as the end of its JSON."""
    fields = (follows, requested, follows_me, follows and follows_me)
    return b"," + msgspec.json.encode(dict(zip(FollowUser.__annotations__, fields, strict=True)))[1:]


_FOLLOWS = {state: _follow_fields(*state) for state in itertools.product((False, True), repeat=3)}
_listed: Fragments[User] = Fragments(lambda user: listed_user(user, False))
_listed_with_login: Fragments[User] = Fragments(lambda user: listed_user(user, True))


def community(group: Group, owner: User | None) -> Community:
    owner_id, created, updated = str(group.owner_id), str(group.created_at), str(group.updated_at)
    return Community(
        id=str(group.group_id),
        created_time=created,
        updated_time=updated,
        name=group.name,
        owner_id=owner_id,
        owner_name=owner.username if owner else "",
        img=group.icon,
        desc=group.description,
        description=group.description,
        creator_id=owner_id,
        created_at=created,
        updated_at=updated,
        approval=group.approval,
        announcement=group.announcement,
        member_count=group.member_count,
    )


def session_view(session: Session) -> SessionView:
    return SessionView(
        session_id=str(session.session_id),
        device=session.device,
        ip=session.ip,
        network=session.network,
        created_at=rfc3339(session.created_at),
        last_seen_at=rfc3339(session.last_seen_at),
        expires_at=rfc3339(session.expires_at),
        current=session.current,
    )
