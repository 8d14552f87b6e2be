"""A route: its paths, parameters, limit and envelope, declared beside the function that serves it.

An endpoint is an async function of a Call and a params struct; what it returns goes into its family's
envelope. Litestar routes to it; the OpenAPI document is made from the same declaration (openapi.py).
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar, get_type_hints

from litestar import Request
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from msgspec import Struct

from gateway.container import Container
from gateway.http import rate_limits
from gateway.http.client_info import ClientInfo, header_of
from gateway.http.envelopes import Family
from gateway.http.params import read_params
from gateway.http.rate_limits import Limit, network_of
from services.kit.context import ANONYMOUS, Caller, current_caller, current_deadline

P = TypeVar("P")
Method = Literal["GET", "POST", "PUT"]


@dataclass(slots=True)
class Call:
    """What an endpoint may use: who calls, from where, and the gateway's own parts."""

    container: Container
    caller: Caller
    client: ClientInfo


class Answer(ASGIResponse):
    """200 with a JSON body; without the parent's headers, cookies and encodings, which cost as much as the rest."""

    __slots__ = ()

    def __init__(self, body: bytes) -> None:
        self.body, self.status_code = body, 200

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(self.body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


class NoParams(Struct):
    """For endpoints that take nothing."""


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[P]):
    method: Method
    paths: tuple[str, ...]  # the documented one first
    family: Family
    limit: Limit
    auth: bool
    function: Callable[[Call, P], Awaitable[Any]]
    params: type[P]
    result: Any
    content_type: ClassVar[str] = "application/json"  # of its body

    async def serve(self, request: Request[Any, Any, Any]) -> "Answer":
        container: Container = request.app.state.container
        current_deadline.set(asyncio.get_running_loop().time() + container.settings.request_seconds)
        async with asyncio.timeout(container.settings.request_seconds):
            call = await self._admit(container, request)
            params = await read_params(request, self.params)
            result = await self.function(call, params)
        return Answer(self.family.success(result))

    async def _admit(self, container: Container, request: Request[Any, Any, Any]) -> Call:
        client = ClientInfo(request.scope)
        if not self.auth:
            await container.limiter.take(self.paths[0], self.limit, network_of(client.ip))
            return Call(container, ANONYMOUS, client)
        claims = container.authenticator.read(header_of(request.scope, b"authorization"))
        await container.limiter.take(self.paths[0], self.limit, claims.userid)
        caller = await container.authenticator.authenticate(claims)
        current_caller.set(caller)
        request.scope["state"]["user_id"] = caller.user_id
        container.presence.touch(caller.user_id)
        return Call(container, caller, client)


def endpoint(
    method: Method, *paths: str, family: Family, limit: Limit, auth: bool = True
) -> Callable[[Callable[[Call, P], Awaitable[Any]]], HTTPRouteHandler]:
    """Makes a Litestar handler of an endpoint function."""

    def declare(function: Callable[[Call, P], Awaitable[Any]]) -> HTTPRouteHandler:
        hints = get_type_hints(function)
        rate_limits.declare(paths[0])
        declared = Endpoint(method, paths, family, limit, auth, function, hints["params"], hints["return"])

        async def serve(request: Request[Any, Any, Any]) -> Answer:
            return await declared.serve(request)

        handler = HTTPRouteHandler(
            list(paths), http_method=HttpMethod(method), status_code=200, opt={"endpoint": declared}
        )
        return handler(serve)

    return declare
