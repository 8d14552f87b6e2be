"""api/user/*: profiles, roles, sessions and credentials."""

import asyncio

from msgspec import Struct, field

from gateway.api.shortvideo.views import Profile, SessionView, profile_of, session_view
from gateway.api.timeouts import HASHING_TIMEOUT
from gateway.container import Call
from gateway.files.pictures import facts_of, use_picture
from gateway.http.endpoint import NoParams, endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.errors import UserNotFound
from gateway.http.limits.rate_limits import per_minute, per_second
from gateway.http.params import Id, PageSize, Text
from protos.user.v1 import accounts_pb2 as pb
from protos.user.v1.users_pb2 import SetRoleRequest, UpdateProfileRequest

OURS = per_minute(20, 40)  # for routes that are not in the document


class ByUserId(Struct):
    id: Id


class ProfileChanges(Struct):
    """Only given fields change; null counts as not given."""

    id: Id | None = None
    username: str | None = None
    avatar: str | None = None
    bio: str | None = None
    sample_bio: str | None = field(default=None, name="Bio")
    email: str | None = None
    searchable_by_phone: bool | None = None
    searchable_by_email: bool | None = None


class SetProfile(ProfileChanges):
    """The fields flat, as in the document's schema, or nested under `user`, as in its sample; a flat field wins."""

    user: ProfileChanges | None = None


class SetRole(Struct):
    id: Id
    role: int


class SessionPage(Struct):
    sessions: list[SessionView]
    next_cursor: str


class ListSessions(Struct):
    cursor: str = ""
    limit: PageSize = 20


class RevokeSession(Struct):
    session_id: Id


class ChangePassword(Struct):
    old_password: Text
    new_password: Text


class BindEmail(Struct):
    email: Text
    code: Text
    password: Text


class BindPhone(Struct):
    """A `code` proves the phone, where SMS is configured."""

    phone: Text
    password: Text
    code: str = ""


class DeleteAccount(Struct):
    password: Text


async def _profile(call: Call, user_id: int) -> Profile:
    user = await call.container.profile(user_id, call.caller.user_id, call.caller.role)
    if user is None:
        raise UserNotFound
    shows_login = user_id in await call.container.logins_shown_to(call.caller, [user_id])
    if here := call.container.numbers.here(call.caller, user_id):
        return profile_of(user, shows_login, await facts_of(call, user.avatar), here)
    avatar, numbers = await asyncio.gather(facts_of(call, user.avatar), call.container.numbers.of(call.caller, user_id))
    return profile_of(user, shows_login, avatar, numbers)


@endpoint("GET", "/api/user/get-user-info", family=SHORT_VIDEO, limit=per_second(20, 40))
async def get_user_info(call: Call, params: ByUserId) -> Profile:
    """A user; private fields only for the user and admins, times of the last login for whom the user lets see them."""
    return await _profile(call, params.id)


@endpoint("GET", "/api/user/get-my-info", family=SHORT_VIDEO, limit=per_second(5, 10), enrolling=True)
async def get_my_info(call: Call, params: NoParams) -> Profile:
    """The caller."""
    return await _profile(call, call.caller.user_id)


@endpoint("GET", "/api/user/get-profile", family=SHORT_VIDEO, limit=per_second(10, 20))
async def get_profile(call: Call, params: ByUserId) -> Profile:
    """The same as get-user-info."""
    return await _profile(call, params.id)


@endpoint("POST", "/api/user/set-profile", family=SHORT_VIDEO, limit=per_second(4, 8))
async def set_profile(call: Call, params: SetProfile) -> None:
    """Change the given fields of one's own profile; an admin may change any."""
    nested = params.user or ProfileChanges()
    user_id = params.id or nested.id or call.caller.user_id
    request = UpdateProfileRequest(user_id=user_id)
    for source in (nested, params):
        bio = source.bio if source.bio is not None else source.sample_bio
        given = {
            "username": source.username,
            "avatar": source.avatar,
            "bio": bio,
            "email": source.email or None,
            "searchable_by_phone": source.searchable_by_phone,
            "searchable_by_email": source.searchable_by_email,
        }
        for name, value in given.items():
            if value is not None:
                setattr(request, name, value)
    await use_picture(call, request.avatar)
    await call.container.users.UpdateProfile(request)
    call.container.drop_user(user_id)


@endpoint("POST", "/api/user/set-role", family=SHORT_VIDEO, limit=per_second(4, 8))
async def set_role(call: Call, params: SetRole) -> None:
    """Set a role: 0 guest, 1 user, 2 member, 3 admin, 4 super admin; one's own only from 0 to 1."""
    role = params.role if -1 <= params.role <= 5 else -1  # fits int32; the service checks the bounds
    await call.container.users.SetRole(SetRoleRequest(user_id=params.id, role=role))
    call.container.drop_account(params.id)


@endpoint("GET", "/api/user/sessions", family=SHORT_VIDEO, limit=OURS)
async def list_sessions(call: Call, params: ListSessions) -> SessionPage:
    """The caller's live sessions, one per login and device, the newest first."""
    request = pb.ListSessionsRequest(cursor=params.cursor, limit=params.limit)
    page = await call.container.sessions.ListSessions(request)
    return SessionPage([session_view(session) for session in page.sessions], page.next_cursor)


@endpoint("POST", "/api/user/revoke-session", family=SHORT_VIDEO, limit=OURS)
async def revoke_session(call: Call, params: RevokeSession) -> None:
    """End one of the caller's sessions."""
    await call.container.sessions.RevokeSession(pb.RevokeSessionRequest(session_id=params.session_id))
    call.container.verdicts.drop(params.session_id)


@endpoint("POST", "/api/user/revoke-other-sessions", family=SHORT_VIDEO, limit=OURS)
async def revoke_other_sessions(call: Call, params: NoParams) -> None:
    """End all of the caller's sessions but this one."""
    await call.container.sessions.RevokeOtherSessions(pb.RevokeOtherSessionsRequest())
    call.container.verdicts.drop_tag(call.caller.user_id)


@endpoint("POST", "/api/user/change-password", family=SHORT_VIDEO, limit=per_minute(4))
async def change_password(call: Call, params: ChangePassword) -> None:
    """Change the password; ends the caller's other sessions."""
    request = pb.ChangePasswordRequest(old_password=params.old_password, new_password=params.new_password)
    await call.container.accounts.ChangePassword(request, timeout=HASHING_TIMEOUT)
    call.container.verdicts.drop_tag(call.caller.user_id)


@endpoint("POST", "/api/user/bind-email", family=SHORT_VIDEO, limit=per_minute(4))
async def bind_email(call: Call, params: BindEmail) -> None:
    """Add or change the email for logging in; send-code mails the code, `password` is the account's."""
    request = pb.BindEmailRequest(
        email=params.email, code=params.code, password=params.password, client=call.client.message()
    )
    await call.container.accounts.BindEmail(request, timeout=HASHING_TIMEOUT)
    call.container.drop_user(call.caller.user_id)


@endpoint("POST", "/api/user/bind-phone", family=SHORT_VIDEO, limit=per_minute(4))
async def bind_phone(call: Call, params: BindPhone) -> None:
    """Add or change the phone for logging in to the chat family; `password` is the account's."""
    request = pb.BindPhoneRequest(
        phone=params.phone, password=params.password, code=params.code, client=call.client.message()
    )
    await call.container.accounts.BindPhone(request, timeout=HASHING_TIMEOUT)
    call.container.drop_user(call.caller.user_id)


@endpoint("POST", "/api/user/delete-account", family=SHORT_VIDEO, limit=per_minute(4))
async def delete_account(call: Call, params: DeleteAccount) -> None:
    """Erase the account; its email, phone and username become available again."""
    await call.container.accounts.DeleteAccount(
        pb.DeleteAccountRequest(password=params.password), timeout=HASHING_TIMEOUT
    )
    call.container.drop_account(call.caller.user_id)


endpoints = [
    get_user_info,
    get_my_info,
    get_profile,
    set_profile,
    set_role,
    list_sessions,
    revoke_session,
    revoke_other_sessions,
    change_password,
    bind_email,
    bind_phone,
    delete_account,
]
