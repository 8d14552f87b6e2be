"""The one place where an exception becomes an answer: its reason, that reason's row of the table, and the body.

The header `x-error: REASON field` names the rule and, where there is one, the parameter at fault.
"""

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import grpc.aio
import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, InternalServerException

from gateway.http.envelopes import family_of
from gateway.http.errors import (
    BodyTooLarge,
    ClientGone,
    ContentTypeInvalid,
    MethodNotAllowed,
    ParameterInvalid,
    RouteNotFound,
)
from gateway.http.failures import Failure, failure_of
from services.kit.errors import FIELD_KEY, RETRY_AFTER_KEY, HitokError, Unavailable, reason_of

AnyRequest = Request[Any, Any, Any]

HTTP_REASONS = {
    404: RouteNotFound.reason,
    405: MethodNotAllowed.reason,
    413: BodyTooLarge.reason,
    415: ContentTypeInvalid.reason,
    400: ParameterInvalid.reason,
}

ERROR_HEADER = "x-error"
# The parameters that a field of the services may be called in the documents; the first one that the route has counts.
PARAMETERS = {
    "video_url": ("video_path",),
    "cover_url": ("cover_path",),
    "username": ("nickname",),
    "password": ("new_password",),
    "message": ("req_msg",),
    "result": ("handle_result",),
    "icon": ("img",),
    "description": ("desc",),
}

log = structlog.get_logger("gateway")


class Explanation(NamedTuple):
    """The answer to an exception; it never has the exception's own words."""

    reason: str
    failure: Failure
    retry_after: float | None  # seconds
    field: str  # "": no parameter is at fault


class ErrorAnswer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def explain(error: Exception) -> Explanation:
    """Also for the frames of a socket (gateway/ws/frames.py)."""
    reason, retry_after, field = _reason(error)
    return Explanation(reason, failure_of(reason), retry_after, field)


def error_answer(path: str, error: Exception, params: Any = None) -> ErrorAnswer:
    """In the envelope of the path's family. `params`: the struct of the route's parameters, where there is one."""
    reason, failure, retry_after, field = explain(error)
    headers = {"content-type": "application/json", ERROR_HEADER: f"{reason} {_parameter(field, params)}".rstrip()}
    headers |= _retry_header(failure, retry_after) | _allow_header(error)
    return ErrorAnswer(failure.http, headers, family_of(path).failure(failure))


def error_renderer(prefix: str, extra_headers: Mapping[str, str]) -> Callable[[AnyRequest, Exception], Response[bytes]]:
    """Litestar's handler of all exceptions. `extra_headers` go with the errors of paths that begin with `prefix`."""

    def render(request: AnyRequest, error: Exception) -> Response[bytes]:
        path, handler = request.scope["path"], request.scope.get("route_handler")
        endpoint = handler.opt.get("endpoint") if handler else None
        answer = error_answer(path, error, endpoint and endpoint.params)
        if answer.status == 500:
            log.error("request failed", reason=answer.headers[ERROR_HEADER], exc_info=error)
        headers = (dict(extra_headers) if path.startswith(prefix) else {}) | answer.headers
        return Response(answer.body, status_code=answer.status, headers=headers, media_type="application/json")

    return render


def _parameter(field: str, params: Any) -> str:
    """The field by the name that the route has for it."""
    if field not in PARAMETERS or params is None:
        return field
    names = _names(params)
    return next((name for name in (field, *PARAMETERS[field]) if name in names), field)


@cache
def _names(params: Any) -> frozenset[str]:
    return frozenset(field.encode_name for field in msgspec.structs.fields(params))


def _retry_header(failure: Failure, retry_after: float | None) -> dict[str, str]:
    if retry_after is None and failure.http == 503:
        retry_after = 1.0
    return {} if retry_after is None else {"retry-after": str(max(math.ceil(retry_after), 1))}


def _allow_header(error: Exception) -> dict[str, str]:
    """Litestar puts it on its 405."""
    headers = error.headers if isinstance(error, HTTPException) else None
    return {name: value for name, value in (headers or {}).items() if name.lower() == "allow"}


def _reason(error: Exception) -> tuple[str, float | None, str]:
    """The reason, the seconds after which to try again, and the parameter."""
    match error:
        case HitokError():
            return error.reason, error.retry_after, error.field
        case grpc.aio.AioRpcError() if _is_of_grpc(error):
            return Unavailable.reason, None, ""
        case grpc.aio.AioRpcError():
            return reason_of(error), retry_after_of(error), field_of(error)
        case TimeoutError():
            return Unavailable.reason, None, ""
        case InternalServerException(detail="client disconnected prematurely"):  # raised by Litestar's request.body()
            return ClientGone.reason, None, ""
        case HTTPException():
            return HTTP_REASONS.get(error.status_code, HitokError.reason), None, ""
    return HitokError.reason, None, ""


def _is_of_grpc(error: grpc.aio.AioRpcError) -> bool:
    """Whether gRPC itself refused: the service has its limit of concurrent calls."""
    return error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and reason_of(error) == HitokError.reason


def field_of(error: grpc.aio.AioRpcError) -> str:
    """The parameter that the service named; "" if none."""
    return next((str(value) for key, value in error.trailing_metadata() or () if key == FIELD_KEY), "")


def retry_after_of(error: grpc.aio.AioRpcError) -> float | None:
    """Seconds after which the service said to try again."""
    return next((float(value) for key, value in error.trailing_metadata() or () if key == RETRY_AFTER_KEY), None)
