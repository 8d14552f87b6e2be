"""The services as the gateway calls them: one channel to each, and its stubs."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import grpc.aio

from gateway.chat.client import CHAT_PROTOS, Chat, chat_at
from gateway.config import GatewaySettings
from protos.export.v1 import export_pb2
from protos.export.v1.export_pb2_grpc import ExportStub
from protos.media.v1 import comments_pb2, for_you_pb2, objects_pb2, saves_pb2, tags_pb2, videos_pb2
from protos.media.v1.comments_pb2_grpc import CommentsStub
from protos.media.v1.for_you_pb2_grpc import ForYouStub
from protos.media.v1.objects_pb2_grpc import ObjectsStub, UploadsStub
from protos.media.v1.saves_pb2_grpc import SavesStub
from protos.media.v1.tags_pb2_grpc import TagsStub
from protos.media.v1.videos_pb2_grpc import VideosStub
from protos.social.v1 import follows_pb2, friends_pb2, groups_pb2, mutes_pb2
from protos.social.v1.follows_pb2_grpc import FollowsStub
from protos.social.v1.friends_pb2_grpc import FriendsStub
from protos.social.v1.groups_pb2_grpc import GroupsStub
from protos.social.v1.mutes_pb2_grpc import MutesStub
from protos.user.v1 import accounts_pb2, audit_pb2, exports_pb2, moderation_pb2, second_factor_pb2, users_pb2
from protos.user.v1.accounts_pb2_grpc import AccountsStub, SessionsStub
from protos.user.v1.audit_pb2_grpc import AuditStub
from protos.user.v1.exports_pb2_grpc import ExportsStub
from protos.user.v1.moderation_pb2_grpc import ModerationStub
from protos.user.v1.second_factor_pb2_grpc import SecondFactorsStub
from protos.user.v1.users_pb2_grpc import UsersStub
from services.kit.rpc.channel import open_channel

USER_PROTOS = (
    accounts_pb2.DESCRIPTOR,
    users_pb2.DESCRIPTOR,
    moderation_pb2.DESCRIPTOR,
    audit_pb2.DESCRIPTOR,
    exports_pb2.DESCRIPTOR,
    second_factor_pb2.DESCRIPTOR,
    export_pb2.DESCRIPTOR,
)
SOCIAL_PROTOS = tuple(each.DESCRIPTOR for each in (export_pb2, follows_pb2, friends_pb2, groups_pb2, mutes_pb2))
MEDIA_PROTOS = tuple(
    each.DESCRIPTOR for each in (export_pb2, objects_pb2, videos_pb2, comments_pb2, for_you_pb2, saves_pb2, tags_pb2)
)


@dataclass(kw_only=True)
class Stubs:
    channels: Mapping[str, grpc.aio.Channel]  # by service
    accounts: AccountsStub
    sessions: SessionsStub
    users: UsersStub
    moderation: ModerationStub
    audit: AuditStub
    friends: FriendsStub
    groups: GroupsStub
    mutes: MutesStub
    follow_lists: FollowsStub
    objects: ObjectsStub
    uploads: UploadsStub
    videos: VideosStub
    comments: CommentsStub
    for_you: ForYouStub
    saves: SavesStub
    tags: TagsStub
    chat: Chat
    second_factors: SecondFactorsStub
    exports: ExportsStub
    export_rows: Mapping[str, ExportStub]  # by service


@asynccontextmanager
async def open_stubs(settings: GatewaySettings) -> AsyncIterator[Stubs]:
    """Opens them even while the services are away."""
    async with AsyncExitStack() as stack:
        user = await stack.enter_async_context(open_channel(settings.user_target, settings, USER_PROTOS))
        social = await stack.enter_async_context(open_channel(settings.social_target, settings, SOCIAL_PROTOS))
        media = await stack.enter_async_context(open_channel(settings.media_target, settings, MEDIA_PROTOS))
        chat = await stack.enter_async_context(open_channel(settings.chat_target, settings, CHAT_PROTOS))
        channels = {"user": user, "social": social, "media": media, "chat": chat}
        yield Stubs(
            channels=channels,
            accounts=AccountsStub(user),
            sessions=SessionsStub(user),
            users=UsersStub(user),
            moderation=ModerationStub(user),
            audit=AuditStub(user),
            second_factors=SecondFactorsStub(user),
            exports=ExportsStub(user),
            friends=FriendsStub(social),
            groups=GroupsStub(social),
            mutes=MutesStub(social),
            follow_lists=FollowsStub(social),
            objects=ObjectsStub(media),
            uploads=UploadsStub(media),
            videos=VideosStub(media),
            comments=CommentsStub(media),
            for_you=ForYouStub(media),
            saves=SavesStub(media),
            tags=TagsStub(media),
            chat=chat_at(chat),
            export_rows={name: ExportStub(channel) for name, channel in channels.items()},
        )
