"""The Litestar application: routes, and the one place where errors become answers."""

import math
from typing import Any

import grpc.aio
import structlog
from litestar import Litestar, Request, Response
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.exceptions import HTTPException, InternalServerException
from litestar.handlers import HTTPRouteHandler

from gateway.api.hichat import friends, groups
from gateway.api.hichat import users as chat_users
from gateway.api.shortvideo import chat as chats
from gateway.api.shortvideo import comments, communities, contacts, feeds, login, users, videos
from gateway.api.shortvideo import files as uploads
from gateway.container import Container
from gateway.files import serving, tus
from gateway.http import health
from gateway.http.envelopes import family_of
from gateway.http.errors import (
    BodyTooLarge,
    ClientGone,
    ContentTypeInvalid,
    MethodNotAllowed,
    ParameterInvalid,
    RouteNotFound,
    failure_of,
)
from gateway.http.openapi import document
from gateway.ws.endpoint import upgrade_required
from services.kit.errors import HitokError, Unavailable, reason_of, retry_after_of

ENDPOINTS: list[HTTPRouteHandler] = [
    *login.endpoints,
    *users.endpoints,
    *contacts.endpoints,
    *communities.endpoints,
    *feeds.endpoints,
    *videos.endpoints,
    *comments.endpoints,
    *chats.endpoints,
    *uploads.endpoints,
    *chat_users.endpoints,
    *friends.endpoints,
    *groups.endpoints,
]

HTTP_REASONS = {
    404: RouteNotFound.reason,
    405: MethodNotAllowed.reason,
    413: BodyTooLarge.reason,
    415: ContentTypeInvalid.reason,
    400: ParameterInvalid.reason,
}

# What a tus client in a browser sends and has to read.
TUS_REQUEST = ["tus-resumable", "upload-checksum", "upload-length", "upload-metadata", "upload-offset"]
TUS_ANSWER = ["tus-resumable", "tus-version", "tus-extension", "tus-max-size", "upload-expires", "upload-offset"]

log = structlog.get_logger("gateway")


def build_app(container: Container) -> Litestar:
    settings = container.settings
    return Litestar(
        route_handlers=[
            *ENDPOINTS,
            upgrade_required,
            serving.handler,
            *tus.handlers,
            *health.handlers(document(ENDPOINTS)),
        ],
        state=State({"container": container}),
        exception_handlers={Exception: render_error},
        cors_config=_cors(settings.cors_origins),
        request_max_body_size=settings.max_body_bytes,
        openapi_config=None,
        logging_config=None,
    )


def _cors(origins: tuple[str, ...]) -> CORSConfig | None:
    if not origins:
        return None
    return CORSConfig(
        allow_origins=list(origins),
        allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        allow_headers=["authorization", "content-type", "range", "x-request-id", *TUS_REQUEST],
        expose_headers=["x-request-id", "retry-after", "content-range", "location", "x-file-url", *TUS_ANSWER],
        max_age=600,
    )


def render_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The family's envelope with the reason's code; never the exception's own words."""
    reason, retry_after = _reason(error)
    failure = failure_of(reason)
    if failure.http == 500:
        log.error("failed", reason=reason, exc_info=error)
    headers = dict(tus.HEADERS) if request.scope["path"].startswith(tus.PATH) else {}
    if retry_after is not None:
        headers["retry-after"] = str(max(math.ceil(retry_after), 1))
    elif failure.http == 503:
        headers["retry-after"] = "1"
    if isinstance(error, HTTPException) and error.headers:
        headers |= {name: value for name, value in error.headers.items() if name.lower() == "allow"}
    body = family_of(request.scope["path"]).failure(failure)
    return Response(body, status_code=failure.http, headers=headers, media_type="application/json")


def _reason(error: Exception) -> tuple[str, float | None]:
    match error:
        case HitokError():
            return error.reason, error.retry_after
        case grpc.aio.AioRpcError():
            if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and reason_of(error) == HitokError.reason:
                return Unavailable.reason, None  # the service's own bound on concurrent calls
            return reason_of(error), retry_after_of(error)
        case TimeoutError():
            return Unavailable.reason, None
        case InternalServerException(detail="client disconnected prematurely"):  # Litestar's, reading a body
            return ClientGone.reason, None
        case HTTPException():
            return HTTP_REASONS.get(error.status_code, HitokError.reason), None
    return HitokError.reason, None
