"""The one place where an exception becomes an answer: its reason, that reason's row of the table, and the body."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import grpc.aio
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, InternalServerException

from gateway.http.envelopes import family_of
from gateway.http.errors import (
    BodyTooLarge,
    ClientGone,
    ContentTypeInvalid,
    Failure,
    MethodNotAllowed,
    ParameterInvalid,
    RouteNotFound,
    failure_of,
)
from services.kit.errors import HitokError, Unavailable, reason_of, retry_after_of

AnyRequest = Request[Any, Any, Any]

HTTP_REASONS = {
    404: RouteNotFound.reason,
    405: MethodNotAllowed.reason,
    413: BodyTooLarge.reason,
    415: ContentTypeInvalid.reason,
    400: ParameterInvalid.reason,
}

log = structlog.get_logger("gateway")


class Explanation(NamedTuple):
    """What a client may know of an exception; never the exception's own words."""

    reason: str
    failure: Failure
    retry_after: float | None  # seconds


def explain(error: Exception) -> Explanation:
    """Also for the frames of a socket (gateway/ws/frames.py)."""
    reason, retry_after = _reason(error)
    return Explanation(reason, failure_of(reason), retry_after)


def error_body(path: str, failure: Failure) -> bytes:
    """In the envelope of the path's family."""
    return family_of(path).failure(failure)


def error_renderer(prefix: str, extra_headers: Mapping[str, str]) -> Callable[[AnyRequest, Exception], Response[bytes]]:
    """Litestar's handler of all exceptions. `extra_headers` go with the errors of paths that begin with `prefix`."""

    def render(request: AnyRequest, error: Exception) -> Response[bytes]:
        reason, failure, retry_after = explain(error)
        if failure.http == 500:
            log.error("request failed", reason=reason, exc_info=error)
        path = request.scope["path"]
        headers = dict(extra_headers) if path.startswith(prefix) else {}
        headers |= _retry_header(failure, retry_after) | _allow_header(error)
        return Response(
            error_body(path, failure), status_code=failure.http, headers=headers, media_type="application/json"
        )

    return render


def _retry_header(failure: Failure, retry_after: float | None) -> dict[str, str]:
    if retry_after is None and failure.http == 503:
        retry_after = 1.0
    return {} if retry_after is None else {"retry-after": str(max(math.ceil(retry_after), 1))}


def _allow_header(error: Exception) -> dict[str, str]:
    """Litestar puts it on its 405."""
    headers = error.headers if isinstance(error, HTTPException) else None
    return {name: value for name, value in (headers or {}).items() if name.lower() == "allow"}


def _reason(error: Exception) -> tuple[str, float | None]:
    match error:
        case HitokError():
            return error.reason, error.retry_after
        case grpc.aio.AioRpcError():
            if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and reason_of(error) == HitokError.reason:
                return Unavailable.reason, None  # gRPC itself refused: the service has its limit of concurrent calls
            return reason_of(error), retry_after_of(error)
        case TimeoutError():
            return Unavailable.reason, None
        case InternalServerException(detail="client disconnected prematurely"):  # raised by Litestar's request.body()
            return ClientGone.reason, None
        case HTTPException():
            return HTTP_REASONS.get(error.status_code, HitokError.reason), None
    return HitokError.reason, None
