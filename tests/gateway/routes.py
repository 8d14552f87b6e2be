"""Every account route, with a body that it would take but for what a test spoils in it."""

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from litestar.handlers import HTTPRouteHandler

from gateway.api.hichat import users as chat_users
from gateway.api.shortvideo import login, users
from gateway.http.endpoint import Endpoint
from gateway.http.envelopes import SHORT_VIDEO

HANDLERS: list[HTTPRouteHandler] = [*login.endpoints, *users.endpoints, *chat_users.endpoints]
ENDPOINTS: list[Endpoint[Any]] = [handler.opt["endpoint"] for handler in HANDLERS]

GOOD: dict[str, Any] = {
    "avatar": "https://example.com/a.png",
    "bio": "about me",
    "Bio": "about me",
    "code": "123456",
    "cursor": "",
    "email": "nobody@example.com",
    "id": "1",
    "limit": 20,
    "new_password": "battery staple",
    "nickname": "somebody",
    "old_password": "no password of ours",
    "password": "no password of ours",
    "phone": "17512345678",
    "role": "0",
    "rtoken": "a.b.c",
    "session_id": "1",
    "sex": 0,
    "username": "somebody",
}


@dataclass(frozen=True)
class Field:
    name: str
    required: bool
    is_text: bool
    may_be_empty: bool


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    auth: bool
    chat: bool
    fields: tuple[Field, ...]

    @property
    def body(self) -> dict[str, Any]:
        return {field.name: GOOD[field.name] for field in self.fields}


def describe(field: msgspec.inspect.Field) -> Field:
    kind: Any = field.type
    if isinstance(kind, msgspec.inspect.Metadata):
        kind = kind.type
    if isinstance(kind, msgspec.inspect.UnionType):
        kind = kind.types[0]
    text = isinstance(kind, msgspec.inspect.StrType)
    return Field(field.encode_name, field.required, text, not (text and kind.min_length))


def fields_of(endpoint: Endpoint[Any]) -> tuple[Field, ...]:
    info: Any = msgspec.inspect.type_info(endpoint.params)
    return tuple(describe(field) for field in info.fields if field.encode_name in GOOD)


ROUTES = [
    Route(endpoint.method, path, endpoint.auth, endpoint.family is not SHORT_VIDEO, fields_of(endpoint))
    for endpoint in ENDPOINTS
    for path in endpoint.paths
]
every_route = pytest.mark.parametrize("route", [pytest.param(route, id=route.path) for route in ROUTES])
every_route_with_a_body = pytest.mark.parametrize(
    "route", [pytest.param(route, id=route.path) for route in ROUTES if route.fields]
)
