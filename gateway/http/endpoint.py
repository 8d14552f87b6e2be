"""A route: its paths, parameters, limit and envelope, declared beside the function that serves it.

An endpoint is an async function of a Call and a params struct; its result is put into its family's envelope.
Litestar routes to it, and openapi.py makes the OpenAPI document from the same declaration.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar, get_type_hints

from litestar import Request
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from msgspec import Struct

from gateway.config import GatewaySettings
from gateway.http.auth import Authenticator
from gateway.http.client_info import ClientInfo, header_of
from gateway.http.envelopes import Family
from gateway.http.errors import BodySlow, SecondFactorMissing
from gateway.http.limits import rate_limits
from gateway.http.limits.rate_limits import RateLimit, RateLimiter
from gateway.http.params import read_params
from services.kit.context import ANONYMOUS, Caller, current_caller, current_deadline, network_of
from services.kit.errors import Unauthenticated
from services.kit.tokens import Claims

Method = Literal["GET", "POST", "PUT"]


class PresenceRecorder(Protocol):
    def touch(self, user_id: int) -> None:
        """The user makes a request now."""


class Admission(Protocol):
    """The parts of the container that a request needs before its endpoint runs."""

    settings: GatewaySettings
    limiter: RateLimiter
    authenticator: Authenticator

    @property
    def presence(self) -> PresenceRecorder: ...


C = TypeVar("C", bound=Admission)
P = TypeVar("P")


@dataclass(slots=True)
class Call(Generic[C]):
    """The arguments of an endpoint: the gateway's parts, the caller, and the address that they call from."""

    container: C
    caller: Caller
    client: ClientInfo


class JsonResponse(ASGIResponse):
    """200 with a JSON body. Skips the headers, cookies and encodings of its parent, which cost as much as the rest."""

    __slots__ = ()

    def __init__(self, body: bytes) -> None:
        self.body, self.status_code = body, 200

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(self.body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


class NoParams(Struct):
    """For endpoints without parameters."""


@dataclass(frozen=True, slots=True)
class Endpoint(Generic[P]):
    method: Method
    paths: tuple[str, ...]  # the documented one first
    family: Family
    limit: RateLimit
    auth: bool
    function: Callable[[Call[Any], P], Awaitable[Any]]
    params: type[P]
    result: Any
    reads_token: bool = False  # where none is needed: a good one names the caller, any other counts as none
    enrolling: bool = False  # also for those whose role needs a second factor, which they have not
    content_type: ClassVar[str] = "application/json"  # of its body

    async def serve(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """Admits the request, reads its parameters and calls the function, all within the request's deadline."""
        container: Admission = request.app.state.container
        current_deadline.set(asyncio.get_running_loop().time() + container.settings.request_seconds)
        reading = False
        try:
            async with asyncio.timeout(container.settings.request_seconds):
                call = await self._admit(container, request)
                reading = True
                params = await read_params(request, self.params)
                reading = False
                result = await self.function(call, params)
        except TimeoutError:
            if reading:
                raise BodySlow from None
            raise
        return JsonResponse(self.family.success(result))

    async def _admit(self, container: Admission, request: Request[Any, Any, Any]) -> Call[Any]:
        """Takes a token of the caller's rate limit and authenticates them.

        Raises TooManyRequests and what Authenticator raises.
        """
        client = ClientInfo(request.scope)
        authorization = header_of(request.scope, b"authorization")
        if not self.auth:
            await container.limiter.take(self.paths[0], self.limit, network_of(client.ip))
            if not (self.reads_token and authorization):
                return Call(container, ANONYMOUS, client)
            with suppress(Unauthenticated, SecondFactorMissing):
                return await self._call_of(container, request, client, container.authenticator.read(authorization))
            return Call(container, ANONYMOUS, client)
        claims = container.authenticator.read(authorization)
        await container.limiter.take(self.paths[0], self.limit, claims.userid)
        return await self._call_of(container, request, client, claims)

    async def _call_of(
        self, container: Admission, request: Request[Any, Any, Any], client: ClientInfo, claims: Claims
    ) -> Call[Any]:
        """Raises what Authenticator raises."""
        caller = await container.authenticator.authenticate(claims, enrolling=self.enrolling)
        current_caller.set(caller)
        request.scope["state"]["user_id"] = caller.user_id
        container.presence.touch(caller.user_id)
        return Call(container, caller, client)

    def handler(self, **options: Any) -> HTTPRouteHandler:
        """Litestar's. `options`: further ones of HTTPRouteHandler."""
        rate_limits.declare(self.paths[0])

        async def serve(request: Request[Any, Any, Any]) -> ASGIResponse:
            return await self.serve(request)

        declared = HTTPRouteHandler(
            list(self.paths),
            http_method=HttpMethod(self.method),
            status_code=200,
            opt={"endpoint": self},
            **options,
        )
        return declared(serve)


def endpoint(
    method: Method,
    *paths: str,
    family: Family,
    limit: RateLimit,
    auth: bool = True,
    reads_token: bool = False,
    enrolling: bool = False,
) -> Callable[[Callable[[Call[C], P], Awaitable[Any]]], HTTPRouteHandler]:
    """Makes a Litestar handler of an endpoint function. Its annotations give the params struct and the result."""

    def declare(function: Callable[[Call[C], P], Awaitable[Any]]) -> HTTPRouteHandler:
        hints = get_type_hints(function)
        kinds = hints["params"], hints["return"]
        declared = Endpoint(method, paths, family, limit, auth, function, *kinds, reads_token, enrolling)
        return declared.handler()

    return declare
