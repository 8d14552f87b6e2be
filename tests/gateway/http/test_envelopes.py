"""What errors look like: the tables of api.md, and that nothing can go wrong without an entry in them."""

import importlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.http.envelopes import CHAT, CHAT_SOCIAL, SHORT_VIDEO, family_of
from gateway.http.failures import FAILURES, INTERNAL, failure_of
from services.kit.errors import (
    Conflict,
    Forbidden,
    HitokError,
    Invalid,
    NotFound,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from tests.gateway.people import Person, by_email
from tests.support.gateway import FrontEnd, RunningGateway
from tests.support.user import Running

# api.md, "Envelopes", as far as there are routes that can give it.
TABLE = {
    -20000: ("token已过期", 401),
    -20001: ("token为空", 401),
    -20002: ("token无效", 401),
    -20003: ("token类型错误", 401),
    -20004: ("token格式错误", 401),
    -20006: ("rtoken已过期", 401),
    -20007: ("请求过于频繁", 429),
    -20008: ("权限不足", 403),
    10001: ("参数无效", 400),
    10002: ("参数为空", 400),
    10003: ("参数类型错误", 400),
    10004: ("参数缺失", 400),
    10007: ("邮箱格式错误", 400),
    10008: ("验证码无效", 400),
    10009: ("账号或密码错误", 401),
    10010: ("用户已存在", 409),
    10011: ("用户不存在", 404),
    60001: ("内部错误", 500),
    60004: ("数据库错误", 503),
    60005: ("缓存错误", 503),
    60006: ("邮件发送失败", 503),
}
ABSTRACT = {HitokError, Invalid, Unauthenticated, Forbidden, NotFound, Conflict, TooMany}
HTTP_OF = {Unauthenticated: 401, Forbidden: 403, NotFound: 404, Conflict: 409, TooMany: 429, Unavailable: 503}
ROOT = Path(__file__).parents[3]


def every_error() -> list[type[HitokError]]:
    for module in (*ROOT.glob("services/**/*.py"), *ROOT.glob("gateway/**/*.py")):
        if module.stem != "__main__" and "migrations" not in module.parts:
            importlib.import_module(".".join(module.relative_to(ROOT).with_suffix("").parts))
    ours = (error for error in descendants(HitokError) if error.__module__.startswith(("services.", "gateway.")))
    return sorted(set(ours) - ABSTRACT, key=lambda error: error.reason)


def descendants(error: type[HitokError]) -> Iterator[type[HitokError]]:
    for child in error.__subclasses__():
        yield child
        yield from descendants(child)


def test_whatever_can_be_raised_has_an_entry() -> None:
    assert [error.reason for error in every_error() if error.reason not in FAILURES] == []


def test_no_two_errors_share_a_reason() -> None:
    names = defaultdict(set)
    for error in every_error():
        names[error.reason].add(error)
    shared = {reason: errors for reason, errors in names.items() if len(errors) > 1}
    # The gateway and each service may know the same thing by the same name.
    assert all(len({error.__name__ for error in errors}) == 1 for errors in shared.values())
    assert all(len({error.status for error in errors}) == 1 for errors in shared.values()), shared


def test_an_entry_has_the_status_of_its_kind() -> None:
    for error in every_error():
        kind = next((kind for kind in error.__mro__ if kind in HTTP_OF), None)
        failure = failure_of(error.reason)
        if kind and failure is not INTERNAL:
            assert failure.http == HTTP_OF[kind], error


@pytest.mark.parametrize("code", TABLE)
def test_the_documented_codes_have_their_text_and_status(code: int) -> None:
    found = {(failure.message, failure.http) for failure in FAILURES.values() if failure.video_code == code}
    assert found == {TABLE[code]}


def test_one_short_video_code_means_one_thing() -> None:
    meanings = defaultdict(set)
    for failure in FAILURES.values():
        meanings[failure.video_code].add((failure.http, failure.message))
    del meanings[60002]  # 文件上传失败: the table gives it three statuses
    assert {code: found for code, found in meanings.items() if len(found) > 1} == {}


def test_one_chat_code_means_one_thing() -> None:
    """100001, "server error", and 100002, "bad parameters", mean many; 0 is never shown."""
    meanings = defaultdict(set)
    for failure in FAILURES.values():
        meanings[failure.chat_code].add(failure.http)
    many = {code for code, found in meanings.items() if len(found) > 1}
    assert many <= {0, 100001, 100002}
    met = [error for error in every_error() if error.__module__.startswith(("services.kit.", "services.user."))]
    assert [error.reason for error in met if not FAILURES[error.reason].chat_code] == []


def test_an_unknown_reason_is_an_internal_error() -> None:
    assert failure_of("NEVER_HEARD_OF") == INTERNAL == (500, 60001, "内部错误", 100001)


@pytest.mark.parametrize(
    ("family", "nothing", "something", "failure"),
    [
        (
            SHORT_VIDEO,
            '{"code":20000,"message":"成功","data":{}}',
            '{"code":20000,"message":"成功","data":{"a":"b"}}',
            '{"code":60001,"message":"内部错误","data":{}}',
        ),
        (
            CHAT,
            None,
            '{"code":200,"msg":"","data":{"a":"b"}}',
            '{"code":100001,"msg":"内部错误","data":null}',
        ),
        (CHAT_SOCIAL, "{}", '{"a":"b"}', '{"code":100001,"msg":"内部错误","data":null}'),
    ],
    ids=["short-video", "chat", "chat: social"],
)
def test_each_family_has_its_own_envelope(family: object, nothing: str | None, something: str, failure: str) -> None:
    assert family.success({"a": "b"}) == something.encode()  # type: ignore[attr-defined]
    assert family.failure(INTERNAL) == failure.encode()  # type: ignore[attr-defined]
    if nothing:
        assert family.success(None) == nothing.encode()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("path", "family"),
    [
        ("/api/login/login", SHORT_VIDEO),
        ("/api/nowhere", SHORT_VIDEO),
        ("/", SHORT_VIDEO),
        ("/nowhere", SHORT_VIDEO),
        ("/api/user/get-my-info", SHORT_VIDEO),
        ("/api/v1/user/detail", CHAT),
        ("/api/v2/user/login", CHAT),
        ("/api/v1/user/nowhere", CHAT),
        ("/v1/social/nowhere", CHAT_SOCIAL),
        ("/v1/socail/groups", CHAT_SOCIAL),
        ("/v1/socialfriend/putIns", CHAT_SOCIAL),
        ("/v/social/group/users", CHAT_SOCIAL),
        ("/friend/putIn", CHAT_SOCIAL),
    ],
)
def test_a_path_belongs_to_a_family_known_or_not(path: str, family: object) -> None:
    assert family_of(path) is family


NOWHERE = [
    "/",
    "/api",
    "/api/",
    "/api/nowhere",
    "/api/login/login/more",
    "/api/v1/user/nowhere",
    "/api/v1/user",
    "/v1/social/nowhere",
    "/v/nowhere",
    "/friend/nowhere",
    "/api/%ff",
    "/api/%00",
    "/docs/x/../../pyproject.toml",
    "/docs/..%2f..%2fpyproject.toml",
    "/API/LOGIN/LOGIN",
    "/" + "x" * 5_000,
]


@pytest.mark.parametrize("path", NOWHERE, ids=lambda path: path[:30])
async def test_an_unknown_route_is_not_found_in_its_familys_envelope(visitor: FrontEnd, path: str) -> None:
    code = 100011 if family_of(path) is not SHORT_VIDEO else 10022
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
        await visitor.refused(method, path, 404, code)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/login/login", "POST"),
        ("/api/user/get-my-info", "GET"),
        ("/api/v1/user/detail", "GET"),
        ("/api/v2/user/login", "POST"),
    ],
)
async def test_another_method_is_told_which_are_allowed(visitor: FrontEnd, path: str, allowed: str) -> None:
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH"} - {allowed}:
        code = 100012 if family_of(path) is not SHORT_VIDEO else 10023
        response = await visitor.refused(method, path, 405, code)
        assert allowed in response.headers["allow"].replace(" ", "").split(",")
        assert method not in response.headers["allow"]


async def test_a_slash_at_the_end_makes_no_difference(gateway: RunningGateway, user: Running) -> None:
    alice: Person = await by_email(gateway.http, user)
    assert (await alice.get("/api/user/get-my-info/"))["id"] == alice.id


async def test_an_error_nobody_foresaw_tells_nothing(
    gateway: RunningGateway, user: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await by_email(gateway.http, user)

    def broken(*_: object) -> None:
        raise RuntimeError("SELECT secret FROM account")

    monkeypatch.setattr(type(gateway.container), "profile", broken)

    for path, code in (("/api/user/get-my-info", 60001), ("/api/v1/user/detail", 100001)):
        response = await alice.refused("GET", path, 500, code)
        assert "secret" not in response.text + str(response.headers)
