"""api/v1/user/*: accounts by phone."""

from msgspec import Struct, field

from gateway.api.timeouts import HASHING_TIMEOUT
from gateway.container import Call
from gateway.files.pictures import use_picture
from gateway.http.endpoint import NoParams, endpoint
from gateway.http.envelopes import CHAT
from gateway.http.errors import UserNotFound
from gateway.http.limits.rate_limits import RateLimit, per_minute, per_second
from gateway.http.overload.logins import noticing_refusals
from gateway.http.params import Text
from protos.user.v1 import accounts_pb2 as pb
from protos.user.v1.users_pb2 import User
from services.kit.context import network_of

# The document states no limits. These are loose; the user service also limits the guesses of each account.
CREDENTIALS = per_minute(30, 60)
CREDENTIALS_PER_DAY = RateLimit(1_000, 86_400, 1_000)
READS = per_second(20, 100)


class RegisterByPhone(Struct):
    """A `code` (send-phone-code) proves the phone, where SMS is configured."""

    phone: Text
    password: Text
    nickname: str = ""
    sex: int = 0
    avatar: str = ""
    code: str = ""


class LoginByPhone(Struct):
    """Other fields, such as the document's `nickname`, are ignored."""

    phone: Text
    password: Text
    second_code: str = ""


class Token(Struct):
    token: str
    expire: int  # Unix seconds


class Info(Struct):
    id: str
    mobile: str
    nickname: str
    sex: int
    avatar: str
    last_login: str = field(name="lastLogin")  # Unix seconds
    introduction: str = field(name="Introduction")
    email: str


class Detail(Struct):
    info: Info


@endpoint("POST", "/api/v1/user/register", family=CHAT, limit=CREDENTIALS, auth=False)
async def register(call: Call, params: RegisterByPhone) -> Token:
    """Register by phone."""
    await _take_of_the_day(call, "/api/v1/user/register")
    await use_picture(call, params.avatar)
    request = pb.RegisterByPhoneRequest(
        phone=params.phone,
        password=params.password,
        nickname=params.nickname,
        sex=params.sex if 0 <= params.sex <= 2 else -1,  # fits int32; the service checks the bounds
        avatar=params.avatar,
        code=params.code,
        client=call.client.message(),
    )
    tokens = await call.container.accounts.RegisterByPhone(request, timeout=HASHING_TIMEOUT)
    return Token(tokens.atoken, tokens.atoken_expires_at)


@endpoint("POST", "/api/v2/user/login", "/api/v1/user/login", family=CHAT, limit=CREDENTIALS, auth=False)
async def login(call: Call, params: LoginByPhone) -> Token:
    """Log in by phone and password."""
    await _take_of_the_day(call, "/api/v2/user/login")
    request = pb.LoginByPhoneRequest(
        phone=params.phone, password=params.password, second_code=params.second_code, client=call.client.message()
    )
    with noticing_refusals():
        tokens = await call.container.accounts.LoginByPhone(request, timeout=HASHING_TIMEOUT)
    call.container.drop_login(tokens.user_id)
    return Token(tokens.atoken, tokens.atoken_expires_at)


@endpoint("GET", "/api/v1/user/detail", "/api/v1/user/user", family=CHAT, limit=READS)
async def detail(call: Call, params: NoParams) -> Detail:
    """The caller."""
    user = await call.container.profile(call.caller.user_id, call.caller.user_id, call.caller.role)
    if user is None:
        raise UserNotFound
    return Detail(_info(user))


async def _take_of_the_day(call: Call, route: str) -> None:
    """Raises TooManyRequests."""
    await call.container.limiter.take(f"{route} (day)", CREDENTIALS_PER_DAY, network_of(call.client.ip))


def _info(user: User) -> Info:
    return Info(
        id=str(user.user_id),
        mobile=user.phone,
        nickname=user.nickname,
        sex=user.sex,
        avatar=user.avatar,
        last_login=str(user.login_at // 1000),
        introduction=user.bio,
        email=user.email,
    )


endpoints = [register, login, detail]
