"""api/user/*second-factor: codes of an authenticator app besides the password. All of it is ours."""

from typing import Any

from msgspec import Struct

from gateway.api.shortvideo.users import OURS
from gateway.api.timeouts import HASHING_TIMEOUT
from gateway.container import Call
from gateway.http.endpoint import NoParams, endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.limits.rate_limits import per_minute
from gateway.http.params import Text
from protos.user.v1 import second_factor_pb2 as pb

LIMITED: Any = {"family": SHORT_VIDEO, "limit": per_minute(10), "enrolling": True}


class SecondFactor(Struct):
    """`required`: by the caller's role. `recovery_codes` is how many are left."""

    on: bool
    required: bool
    recovery_codes: int


class BeginSecondFactor(Struct):
    password: Text


class BegunSecondFactor(Struct):
    """For an authenticator app: the secret in base32, and the same as an otpauth:// address for a QR code."""

    secret: str
    uri: str


class TurnOnSecondFactor(Struct):
    second_code: Text


class ProveSecondFactor(Struct):
    """`second_code` may be a recovery code."""

    password: Text
    second_code: Text


class RecoveryCodes(Struct):
    """Each replaces a code of the app once. They are shown only here."""

    codes: list[str]


@endpoint("GET", "/api/user/second-factor", family=SHORT_VIDEO, limit=OURS, enrolling=True)
async def get_second_factor(call: Call, params: NoParams) -> SecondFactor:
    """Whether logins of the caller take a code of an authenticator app."""
    state = await call.container.second_factors.GetSecondFactor(pb.GetSecondFactorRequest())
    return SecondFactor(state.on, state.required, state.recovery_codes)


@endpoint("POST", "/api/user/begin-second-factor", **LIMITED)
async def begin_second_factor(call: Call, params: BeginSecondFactor) -> BegunSecondFactor:
    """Make a secret for an authenticator app; it counts once turn-on-second-factor got a code of it."""
    request = pb.BeginSecondFactorRequest(password=params.password)
    begun = await call.container.second_factors.BeginSecondFactor(request, timeout=HASHING_TIMEOUT)
    return BegunSecondFactor(begun.secret, begun.uri)


@endpoint("POST", "/api/user/turn-on-second-factor", **LIMITED)
async def turn_on_second_factor(call: Call, params: TurnOnSecondFactor) -> RecoveryCodes:
    """Ask for a code at each login from now on; ends the caller's other sessions."""
    request = pb.TurnOnSecondFactorRequest(code=params.second_code)
    made = await call.container.second_factors.TurnOnSecondFactor(request)
    call.container.drop_login(call.caller.user_id)
    return RecoveryCodes(list(made.codes))


@endpoint("POST", "/api/user/turn-off-second-factor", **LIMITED)
async def turn_off_second_factor(call: Call, params: ProveSecondFactor) -> None:
    """Log in by password alone again; refused if the caller's role needs a second factor."""
    request = pb.TurnOffSecondFactorRequest(password=params.password, code=params.second_code)
    await call.container.second_factors.TurnOffSecondFactor(request, timeout=HASHING_TIMEOUT)


@endpoint("POST", "/api/user/renew-recovery-codes", **LIMITED)
async def renew_recovery_codes(call: Call, params: ProveSecondFactor) -> RecoveryCodes:
    """New recovery codes in place of all old ones."""
    request = pb.RenewRecoveryCodesRequest(password=params.password, code=params.second_code)
    made = await call.container.second_factors.RenewRecoveryCodes(request, timeout=HASHING_TIMEOUT)
    return RecoveryCodes(list(made.codes))


endpoints = [
    get_second_factor,
    begin_second_factor,
    turn_on_second_factor,
    turn_off_second_factor,
    renew_recovery_codes,
]
