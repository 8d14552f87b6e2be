"""api/contact/*-settings: who may add a user, who sees and who finds them."""

import asyncio
from typing import Literal

from msgspec import Struct

from gateway.api.shortvideo.users import OURS
from gateway.container import Call
from gateway.http.endpoint import NoParams, endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.errors import UserNotFound
from protos.social.v1 import friends_pb2 as pb
from protos.user.v1.users_pb2 import UpdateProfileRequest

WHO_MAY_ADD: dict[int, Literal["everyone", "ask", "nobody"]] = {
    pb.EVERYONE: "everyone",
    pb.ASK: "ask",
    pb.NOBODY: "nobody",
}
Audience = Literal["everyone", "friends", "nobody"]
WHO_SEES: dict[int, Audience] = {pb.ANYONE: "everyone", pb.FRIENDS: "friends", pb.NO_ONE: "nobody"}
AUDIENCES = {name: pb.WhoSees.ValueType(value) for value, name in WHO_SEES.items()}
WhoMayFollow = Literal["everyone", "ask"]
WHO_MAY_FOLLOW: dict[int, WhoMayFollow] = {pb.FOLLOW_FREELY: "everyone", pb.FOLLOW_IF_ACCEPTED: "ask"}


class ContactSettings(Struct):
    """`who_may_add` the caller as a friend: `everyone` at once, `ask`: whoever the caller accepts, or `nobody`.

    Who sees the caller online, and who when they last logged in: `everyone`, `friends` to whose friendship the caller
    agreed, or `nobody`; no user across a block. `who_may_follow` the caller: `everyone`, or `ask`: whoever the caller
    accepts, and only they see whom the caller follows and who follows them. `who_may_mention` the caller (@name): for
    others their name stays text, and they do not hear of it. Whether a search by the whole phone or
    email finds them.
    """

    who_may_add: Literal["everyone", "ask", "nobody"]
    who_sees_presence: Audience
    who_sees_last_login: Audience
    who_may_follow: WhoMayFollow
    who_may_mention: Audience
    searchable_by_phone: bool
    searchable_by_email: bool


class ChangeSettings(Struct):
    """Only given fields change; null counts as not given."""

    who_may_add: Literal["everyone", "ask", "nobody"] | None = None
    who_sees_presence: Audience | None = None
    who_sees_last_login: Audience | None = None
    who_may_follow: WhoMayFollow | None = None
    who_may_mention: Audience | None = None
    searchable_by_phone: bool | None = None
    searchable_by_email: bool | None = None


@endpoint("GET", "/api/contact/get-settings", family=SHORT_VIDEO, limit=OURS)
async def get_settings(call: Call, params: NoParams) -> ContactSettings:
    """Returns the caller's settings of who may contact them and who sees what of them."""
    me = call.caller.user_id
    found, user = await asyncio.gather(
        call.container.friends.GetSettings(pb.GetSettingsRequest()), call.container.profile(me, me, call.caller.role)
    )
    if user is None:
        raise UserNotFound
    return ContactSettings(
        WHO_MAY_ADD[found.who_may_add],
        WHO_SEES[found.who_sees_presence],
        WHO_SEES[found.who_sees_last_login],
        WHO_MAY_FOLLOW[found.who_may_follow],
        WHO_SEES[found.who_may_mention],
        user.searchable_by_phone,
        user.searchable_by_email,
    )


@endpoint("POST", "/api/contact/set-settings", family=SHORT_VIDEO, limit=OURS)
async def set_settings(call: Call, params: ChangeSettings) -> None:
    """Set who may add the caller, who sees and who finds them. Friends and requests that exist stay."""
    if params.who_may_add:
        who_may_add = pb.WhoMayAdd.Value(params.who_may_add.upper())
        await call.container.friends.SetSettings(pb.SetSettingsRequest(who_may_add=who_may_add))
    privacy = pb.SetPrivacyRequest()
    if params.who_sees_presence:
        privacy.who_sees_presence = AUDIENCES[params.who_sees_presence]
    if params.who_sees_last_login:
        privacy.who_sees_last_login = AUDIENCES[params.who_sees_last_login]
    if params.who_may_mention:
        privacy.who_may_mention = AUDIENCES[params.who_may_mention]
    if params.who_may_follow:
        asks = params.who_may_follow == "ask"
        privacy.who_may_follow = pb.FOLLOW_IF_ACCEPTED if asks else pb.FOLLOW_FREELY
    if privacy.ListFields():
        await call.container.friends.SetPrivacy(privacy)
        call.container.drop_settings(call.caller.user_id)
    found = UpdateProfileRequest(user_id=call.caller.user_id)
    for name in ("searchable_by_phone", "searchable_by_email"):
        if (value := getattr(params, name)) is not None:
            setattr(found, name, value)
    if len(found.ListFields()) > 1:
        await call.container.users.UpdateProfile(found)
        call.container.drop_user(call.caller.user_id)


endpoints = [get_settings, set_settings]
