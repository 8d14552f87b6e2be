"""api/login/*: accounts by email."""

from typing import Literal

import grpc.aio
from msgspec import Struct

from gateway.api.timeouts import HASHING_TIMEOUT
from gateway.container import Call
from gateway.files.pictures import use_picture
from gateway.http.endpoint import NoParams, endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.errors import RefreshTokenExpired
from gateway.http.limits.rate_limits import RateLimit, per_minute
from gateway.http.overload.logins import noticing_refusals
from gateway.http.params import Text
from protos.user.v1 import accounts_pb2 as pb
from services.kit.errors import reason_of
from services.kit.tokens import TokenExpired

MAIL_TIMEOUT = 8.0  # seconds


CodePurpose = Literal["", "register", "reset", "bind"]
PURPOSES: dict[CodePurpose, pb.CodePurpose.ValueType] = {
    "": pb.CODE_FOR_ANY,
    "register": pb.CODE_FOR_REGISTERING,
    "reset": pb.CODE_FOR_RESETTING,
    "bind": pb.CODE_FOR_BINDING,
}


class SendCode(Struct):
    """A code for a `purpose` serves no other; without one it serves each."""

    email: Text
    purpose: CodePurpose = ""


class SendPhoneCode(Struct):
    phone: Text
    purpose: CodePurpose = ""


class Register(Struct):
    email: Text
    code: Text
    password: Text
    username: Text
    avatar: str = ""


class Login(Struct):
    """`second_code`: of the authenticator app, or a recovery code, for accounts with a second factor."""

    email: Text
    password: Text
    second_code: str = ""


class RefreshToken(Struct):
    """`rotate` asks for a new rtoken too; from then on each counts once, and a reuse of one ends the session."""

    rtoken: Text
    rotate: bool = False


class ResetPassword(Struct):
    email: Text
    code: Text
    password: Text


class UndoEmailChange(Struct):
    key: Text


class AccessToken(Struct):
    atoken: str


class RefreshedTokens(Struct, omit_defaults=True):
    """`rtoken` only if the client asked for a new one."""

    atoken: str
    rtoken: str = ""


class TokenPair(Struct):
    atoken: str
    rtoken: str


@endpoint("POST", "/api/login/send-code", family=SHORT_VIDEO, limit=per_minute(4), auth=False)
async def send_code(call: Call, params: SendCode) -> None:
    """Mail a code to an address, for registering or resetting a password."""
    request = pb.SendCodeRequest(email=params.email, purpose=PURPOSES[params.purpose], client=call.client.message())
    await call.container.accounts.SendCode(request, timeout=MAIL_TIMEOUT)


@endpoint("POST", "/api/login/send-phone-code", family=SHORT_VIDEO, limit=per_minute(4), auth=False)
async def send_phone_code(call: Call, params: SendPhoneCode) -> None:
    """Send a code to a phone by SMS, where that is configured, for registering or binding it with proof."""
    request = pb.SendPhoneCodeRequest(
        phone=params.phone, purpose=PURPOSES[params.purpose], client=call.client.message()
    )
    await call.container.accounts.SendPhoneCode(request, timeout=MAIL_TIMEOUT)


@endpoint("POST", "/api/login/register", family=SHORT_VIDEO, limit=per_minute(4), auth=False)
async def register(call: Call, params: Register) -> AccessToken:
    """Register by email, with the mailed code."""
    await use_picture(call, params.avatar)
    request = pb.RegisterByEmailRequest(
        email=params.email,
        code=params.code,
        password=params.password,
        username=params.username,
        avatar=params.avatar,
        client=call.client.message(),
    )
    tokens = await call.container.accounts.RegisterByEmail(request, timeout=HASHING_TIMEOUT)
    return AccessToken(tokens.atoken)


@endpoint("POST", "/api/login/login", family=SHORT_VIDEO, limit=per_minute(4), auth=False)
async def login(call: Call, params: Login) -> TokenPair:
    """Log in by email and password."""
    request = pb.LoginByEmailRequest(
        email=params.email, password=params.password, second_code=params.second_code, client=call.client.message()
    )
    with noticing_refusals():
        tokens = await call.container.accounts.LoginByEmail(request, timeout=HASHING_TIMEOUT)
    call.container.drop_login(tokens.user_id)
    return TokenPair(tokens.atoken, tokens.rtoken)


@endpoint("POST", "/api/login/refresh-token", family=SHORT_VIDEO, limit=RateLimit(8, 4, 8), auth=False)
async def refresh_token(call: Call, params: RefreshToken) -> RefreshedTokens:
    """Get a new atoken for the same session, and with `rotate` a new rtoken, which then counts once."""
    try:
        tokens = await call.container.accounts.RefreshToken(
            pb.RefreshTokenRequest(rtoken=params.rtoken, rotate=params.rotate)
        )
    except grpc.aio.AioRpcError as error:
        if reason_of(error) == TokenExpired.reason:
            raise RefreshTokenExpired from None
        raise
    return RefreshedTokens(tokens.atoken, tokens.rtoken)


@endpoint("POST", "/api/login/logout", family=SHORT_VIDEO, limit=per_minute(20, 40), enrolling=True)
async def logout(call: Call, params: NoParams) -> None:
    """End this session; its tokens stop working on every gateway."""
    await call.container.accounts.Logout(pb.LogoutRequest())
    call.container.verdicts.drop(call.caller.session_id)
    call.container.drop_user(call.caller.user_id)


@endpoint("POST", "/api/login/reset-password", family=SHORT_VIDEO, limit=per_minute(4), auth=False)
async def reset_password(call: Call, params: ResetPassword) -> None:
    """Set a new password with a mailed code; ends every session of the account."""
    request = pb.ResetPasswordRequest(
        email=params.email, code=params.code, password=params.password, client=call.client.message()
    )
    await call.container.accounts.ResetPassword(request, timeout=HASHING_TIMEOUT)


@endpoint("POST", "/api/login/undo-email-change", family=SHORT_VIDEO, limit=per_minute(4), auth=False)
async def undo_email_change(call: Call, params: UndoEmailChange) -> None:
    """Restore an email that was replaced, by the key mailed to it; ends all sessions and voids the password."""
    await call.container.accounts.UndoEmailChange(pb.UndoEmailChangeRequest(key=params.key))


endpoints = [send_code, send_phone_code, register, login, refresh_token, logout, reset_password, undo_email_change]
