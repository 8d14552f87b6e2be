"""All near caches of the gateway, and what is dropped by the writes that it makes itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nats.aio.client import Client as Nats

from gateway.cache.dataloader import DataLoader
from gateway.cache.files import stored_files
from gateway.cache.follows import Follows
from gateway.cache.hearing import Hearing
from gateway.cache.likes import Likes
from gateway.cache.metrics import show_caches
from gateway.cache.mutes import NOTHING, Muted, viewers_mutes
from gateway.cache.near_caches.near_cache import NearCache
from gateway.cache.profile_numbers import OWNERS_SECONDS, Numbers
from gateway.cache.sessions import SessionVerdicts, session_verdicts
from gateway.cache.sights import Sights
from gateway.cache.tells import Tells
from gateway.cache.users import ProfileKey, own_profiles, user_cards, user_profiles, users_by_name
from gateway.cache.videos import VideoCache
from gateway.http.errors import UserNotFound
from protos.media.v1.comments_pb2_grpc import CommentsStub
from protos.media.v1.for_you_pb2_grpc import ForYouStub
from protos.media.v1.objects_pb2 import Object
from protos.media.v1.objects_pb2_grpc import ObjectsStub
from protos.media.v1.videos_pb2 import Video
from protos.media.v1.videos_pb2_grpc import VideosStub
from protos.social.v1.follows_pb2_grpc import FollowsStub
from protos.social.v1.friends_pb2_grpc import FriendsStub
from protos.social.v1.mutes_pb2_grpc import MutesStub
from protos.user.v1.accounts_pb2_grpc import SessionsStub
from protos.user.v1.users_pb2 import User
from protos.user.v1.users_pb2_grpc import UsersStub
from services.kit.context import Caller, current_caller
from services.kit.roles import is_admin


@dataclass(slots=True, kw_only=True)
class Caches:
    verdicts: SessionVerdicts
    cards: NearCache[int, User]  # what everybody may see of a user, by user id
    own: NearCache[int, User]  # what users see of themselves
    profiles: DataLoader[ProfileKey, User]
    names: DataLoader[str, User]
    sights: Sights
    muted: NearCache[int, Muted]  # by viewer
    files: NearCache[str, Object]  # by hash
    video_cache: VideoCache
    likes: Likes
    follows: Follows
    numbers: Numbers
    hearing: Hearing
    tells: Tells

    async def profile(self, user_id: int, viewer_id: int, viewer_role: int) -> User | None:
        """The user with the fields that the viewer may see."""
        if user_id == viewer_id:
            return await self.own.load(user_id)
        if is_admin(viewer_role):
            return await self.profiles.load((user_id, viewer_id))
        return await self.cards.load(user_id)

    async def logins_shown_to(self, viewer: Caller, user_ids: Sequence[int]) -> set[int]:
        """Those of the users who let the viewer see when they last logged in."""
        if is_admin(viewer.role):
            return set(user_ids)
        sights = await self.sights.of(viewer.user_id, user_ids)
        return {id for id in user_ids if id == viewer.user_id or (id in sights and sights[id].sees_last_login)}

    async def muted_by(self, viewer: Caller) -> Muted:
        return await self.muted.load(viewer.user_id) or NOTHING

    async def require_user(self, user_id: int) -> None:
        """Raises UserNotFound, before another service stores the id."""
        if await self.cards.load(user_id) is None:
            raise UserNotFound

    def drop_user(self, user_id: int) -> None:
        """After something of the user's was changed here, other than the right to log in."""
        self.cards.drop(user_id)
        self.own.drop(user_id)

    def drop_account(self, user_id: int) -> None:
        """Also what the gateway knows of the user's sessions."""
        self.verdicts.drop_tag(user_id)
        self.drop_user(user_id)

    def drop_login(self, user_id: int) -> None:
        """After a login or a new second factor, of which no event tells the other gateways."""
        self.drop_account(user_id)
        self.tells.user(user_id)

    def drop_settings(self, user_id: int) -> None:
        """After the user has set who sees what of them."""
        self.sights.drop_user(user_id)
        self.tells.user(user_id)

    def drop_pair(self, viewer: Caller, user_id: int) -> None:
        """After the caller began or ended a friendship or a block with the user here."""
        self.sights.drop(viewer.user_id, user_id)
        self.follows.drop(viewer.user_id, user_id)

    async def find_videos(self, video_ids: Sequence[int]) -> Mapping[int, Video]:
        """Those that the current caller may see."""
        return await self.video_cache.of_ids(current_caller.get(), video_ids)

    def drop_counts(self, video_id: int, liker_id: int = 0) -> None:
        """After a like, a share or a view."""
        self.video_cache.drop_video(video_id)
        self.tells.video(video_id, liker_id)


def make_caches(
    nats: Nats,
    sessions: SessionsStub,
    users: UsersStub,
    friends: FriendsStub,
    follow_lists: FollowsStub,
    mutes: MutesStub,
    objects: ObjectsStub,
    videos: VideosStub,
    comments: CommentsStub,
    for_you: ForYouStub,
) -> Caches:
    """Also exports them as metrics."""
    hearing, profiles = Hearing(), user_profiles(users)
    of_user, of_social, of_media = map(hearing.lasting, ("user", "social", "media"))
    follows = Follows(follow_lists, of_social)
    caches = Caches(
        verdicts=session_verdicts(sessions, of_user),
        cards=user_cards(users, of_user),
        own=own_profiles(profiles, of_user),
        profiles=profiles,
        names=users_by_name(users),
        sights=Sights(friends, of_social),
        muted=viewers_mutes(mutes),
        files=stored_files(objects),
        video_cache=VideoCache(videos, comments, for_you, hearing),
        likes=Likes(videos, comments, of_media),
        follows=follows,
        numbers=Numbers(videos, follows, hearing.lasting("media", seconds=OWNERS_SECONDS)),
        hearing=hearing,
        tells=Tells(nats),
    )
    show_caches(
        sessions=caches.verdicts,
        users=caches.cards,
        own_profiles=caches.own,
        sights=caches.sights.checks,
        files=caches.files,
        mutes=caches.muted,
        liked=caches.likes.liked,
        follow_counts=follows.counts,
        follow_states=follows.states,
        owner_stats=caches.numbers.owners,
        **caches.video_cache.caches,
    )
    return caches
