"""The one list of what can go wrong, with each family's code and text (api.md, "Envelopes")."""

from typing import NamedTuple

from services.kit.errors import Forbidden, HitokError, Invalid, NotFound, TooMany, Unauthenticated


class Failure(NamedTuple):
    """How a reason looks from outside. A hichat code of 0 is for what that family cannot meet."""

    http: int
    video_code: int
    message: str
    chat_code: int


class ParameterInvalid(Invalid):
    """Of the right type, but not a value we take."""


class ParameterEmpty(Invalid):
    pass


class ParameterMistyped(Invalid):
    pass


class ParameterMissing(Invalid):
    pass


class ContentTypeInvalid(Invalid):
    pass


class BodyTooLarge(Invalid):
    pass


class HeadersTooLarge(Invalid):
    pass


class RouteNotFound(NotFound):
    pass


class UserNotFound(NotFound):
    pass


class MethodNotAllowed(Invalid):
    pass


class TokenMissing(Unauthenticated):
    pass


class TokenMalformed(Unauthenticated):
    """An Authorization header that is no bearer token."""


class RefreshTokenExpired(Unauthenticated):
    pass


class ActorForged(Forbidden):
    """The body names another user as the actor."""


class TooManyRequests(TooMany):
    pass


INTERNAL = Failure(500, 60001, "内部错误", 100001)
UNAVAILABLE = Failure(503, 60007, "服务暂不可用", 100001)

FAILURES: dict[str, Failure] = {
    # Tokens
    "TOKEN_EXPIRED": Failure(401, -20000, "token已过期", 100003),
    "TOKEN_MISSING": Failure(401, -20001, "token为空", 100003),
    "TOKEN_INVALID": Failure(401, -20002, "token无效", 100003),
    "SESSION_ENDED": Failure(401, -20002, "token无效", 100003),
    "CALLER_MISSING": Failure(401, -20002, "token无效", 100003),
    "WRONG_TOKEN_CLASS": Failure(401, -20003, "token类型错误", 100003),
    "TOKEN_MALFORMED": Failure(401, -20004, "token格式错误", 100003),
    "REFRESH_TOKEN_EXPIRED": Failure(401, -20006, "rtoken已过期", 100003),
    # Any request
    "TOO_MANY_REQUESTS": Failure(429, -20007, "请求过于频繁", 100006),
    "NOT_PERMITTED": Failure(403, -20008, "权限不足", 100010),
    "ACTOR_FORGED": Failure(403, -20008, "权限不足", 100010),
    "PARAMETER_INVALID": Failure(400, 10001, "参数无效", 100002),
    "PARAMETER_EMPTY": Failure(400, 10002, "参数为空", 100002),
    "PARAMETER_MISTYPED": Failure(400, 10003, "参数类型错误", 100002),
    "PARAMETER_MISSING": Failure(400, 10004, "参数缺失", 100002),
    "CURSOR_INVALID": Failure(400, 10001, "参数无效", 100002),
    "BATCH_TOO_LARGE": Failure(400, 10001, "参数无效", 100002),
    # Accounts
    "EMAIL_INVALID": Failure(400, 10007, "邮箱格式错误", 100002),
    "PHONE_INVALID": Failure(400, 10001, "参数无效", 100002),
    "USERNAME_INVALID": Failure(400, 10001, "参数无效", 100002),
    "PASSWORD_INVALID": Failure(400, 10001, "参数无效", 100002),
    "PROFILE_INVALID": Failure(400, 10001, "参数无效", 100002),
    "ROLE_INVALID": Failure(400, 10001, "参数无效", 100002),
    "CODE_INVALID": Failure(400, 10008, "验证码无效", 100002),
    "TOO_MANY_CODES": Failure(429, -20007, "请求过于频繁", 100006),
    "CREDENTIALS_WRONG": Failure(401, 10009, "账号或密码错误", 100007),
    "EMAIL_TAKEN": Failure(409, 10010, "用户已存在", 100005),
    "PHONE_TAKEN": Failure(409, 10010, "用户已存在", 100005),
    "USERNAME_TAKEN": Failure(409, 10010, "用户已存在", 100005),
    "USER_NOT_FOUND": Failure(404, 10011, "用户不存在", 100009),
    # Ours, from 10017 on. 10017 to 10021 are kept for videos, comments and groups.
    "ROUTE_NOT_FOUND": Failure(404, 10022, "接口不存在", 100011),
    "METHOD_NOT_ALLOWED": Failure(405, 10023, "请求方法不允许", 100012),
    "ACCOUNT_DISABLED": Failure(403, 10024, "账号已停用", 100013),
    "EMAIL_UNVERIFIED": Failure(400, 10025, "邮箱需要验证", 100002),
    "SESSION_NOT_FOUND": Failure(404, 10026, "会话不存在", 100014),
    "BODY_TOO_LARGE": Failure(413, 10027, "请求体过大", 100002),
    "HEADERS_TOO_LARGE": Failure(431, 10027, "请求头过大", 100002),
    "CONTENT_TYPE_INVALID": Failure(415, 10028, "内容类型不支持", 100002),
    # Servers
    "DATABASE_UNAVAILABLE": Failure(503, 60004, "数据库错误", 100004),
    "CACHE_UNAVAILABLE": Failure(503, 60005, "缓存错误", 100001),
    "MAIL_FAILED": Failure(503, 60006, "邮件发送失败", 100001),
    "UNAVAILABLE": UNAVAILABLE,
    "OVERLOADED": UNAVAILABLE,
    "DEADLINE_TOO_SHORT": UNAVAILABLE,
    "CREDENTIAL_MISSING": INTERNAL,  # this gateway's own secret is wrong: nothing the user can mend
    HitokError.reason: INTERNAL,
}


def failure_of(reason: str) -> Failure:
    return FAILURES.get(reason, INTERNAL)
