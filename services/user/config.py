"""The user service's settings (docs/operating.md lists all of hitok's)."""

from typing import Annotated

from msgspec import Meta

from services.kit.config import Port, ServiceSettings

SERVICE = "user"


class UserSettings(ServiceSettings, kw_only=True, frozen=True):
    jwt_secret: Annotated[str, Meta(description="signs the tokens; the gateway needs the same")]
    grpc_port: Port = 18051
    metrics_port: Port = 18151
    smtp_url: Annotated[
        str,
        Meta(description="smtp:// or smtps://user:password@host:port; empty: mails are files in HITOK_VAR/mail"),
    ] = ""
    mail_from: Annotated[str, Meta(description="sender of mailed codes")] = "hitok <noreply@localhost>"
    sms_url: Annotated[
        str,
        Meta(
            description="webhook that sends codes to phones, POST {phone, code, text}; `file`: into HITOK_VAR/sms;"
            " empty: phones need no proof"
        ),
    ] = ""
    bcrypt_cost: Annotated[int, Meta(ge=4, le=16, description="each step doubles the time of a login")] = 10
    bcrypt_threads: Annotated[
        int, Meta(ge=0, le=64, description="passwords hashed at the same time; 0: one per core")
    ] = 0
    phone_region: Annotated[str, Meta(pattern="^[A-Z]{2}$", description="country of numbers without a prefix")] = "CN"
    atoken_seconds: Annotated[int, Meta(ge=60, description="life of an access token")] = 7_200
    rtoken_seconds: Annotated[int, Meta(ge=60, description="life of a refresh token and its session")] = 604_800
    chat_token_seconds: Annotated[int, Meta(ge=60, description="life of a chat-family token")] = 8_640_000
    second_factor_role: Annotated[
        int, Meta(ge=3, le=5, description="least role that needs a second factor: 3 moderators and admins; 5: none")
    ] = 5
    case_days: Annotated[
        int, Meta(ge=1, description="how long closed cases are kept, with their reports, acts and appeals")
    ] = 365
    audit_days: Annotated[int, Meta(ge=1, description="how long entries of the audit are kept")] = 1_095
    second_factor_secret: Annotated[
        str, Meta(description="encrypts the secrets of authenticator apps; empty: the internal secret does")
    ] = ""
    old_second_factor_secret: Annotated[
        str, Meta(description="the one before it, for as long as something is encrypted with that")
    ] = ""
    rate_limit_scale: Annotated[float, Meta(ge=0, description="factor for all rate limits; 0: no limits")] = 1.0
    reserved_names: Annotated[
        tuple[str, ...], Meta(description="nobody may take these usernames, or ones that look like them")
    ] = ("admin", "administrator", "hitok", "moderator", "official", "root", "staff", "support", "system")
