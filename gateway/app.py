"""The application: every route, the handler of their errors, and the layers around them."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from litestar import Litestar
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from gateway.api.compat.hichat_original import HichatOriginal
from gateway.api.compat.shortvideo_original import ShortVideoOriginal
from gateway.api.hichat import friends, groups, messages
from gateway.api.hichat import users as chat_users
from gateway.api.shortvideo import (
    admin,
    appeals,
    communities,
    contact_settings,
    contacts,
    feeds,
    login,
    moderation,
    mutes,
    reports,
    users,
    videos,
)
from gateway.api.shortvideo import chat as chats
from gateway.api.shortvideo import files as uploads
from gateway.api.shortvideo.account import exports, second_factor
from gateway.api.shortvideo.commenting import changes, comments
from gateway.api.shortvideo.discovery import search, tags
from gateway.api.shortvideo.follows import feed as following
from gateway.api.shortvideo.follows import follows
from gateway.api.shortvideo.for_you import feed as for_you
from gateway.api.shortvideo.for_you import settings as for_you_settings
from gateway.api.shortvideo.own_videos import captions
from gateway.api.shortvideo.own_videos import pins as pinned_videos
from gateway.api.shortvideo.push import devices as push_devices
from gateway.api.shortvideo.saved import saves
from gateway.config import GatewaySettings, Original
from gateway.container import Container
from gateway.docs import page as docs_page
from gateway.files import serving, tus
from gateway.http import health
from gateway.http.error_answers import error_renderer
from gateway.http.middleware import RequestMiddleware
from gateway.http.origins import CrossOrigin
from gateway.http.overload.admission import refusing
from gateway.http.server import GatewayServer, server_for
from gateway.web import pages
from gateway.web.session_cookies import SessionCookies
from gateway.ws.endpoint import PATHS, upgrade_required
from gateway.ws.network_bound import BoundedSockets
from gateway.ws.protocol import MAX_FRAME_BYTES, SocketProtocol

ENDPOINTS: list[HTTPRouteHandler] = [
    *login.endpoints,
    *users.endpoints,
    *exports.endpoints,
    *second_factor.endpoints,
    *contacts.endpoints,
    *contact_settings.endpoints,
    *follows.endpoints,
    *mutes.endpoints,
    *communities.endpoints,
    *feeds.endpoints,
    *following.endpoints,
    *for_you.endpoints,
    *for_you_settings.endpoints,
    *search.endpoints,
    *tags.endpoints,
    *saves.endpoints,
    *videos.endpoints,
    *captions.endpoints,
    *pinned_videos.endpoints,
    *comments.endpoints,
    *changes.endpoints,
    *chats.endpoints,
    *push_devices.endpoints,
    *uploads.endpoints,
    *reports.endpoints,
    *moderation.endpoints,
    *admin.endpoints,
    *appeals.endpoints,
    *chat_users.endpoints,
    *friends.endpoints,
    *groups.endpoints,
    *messages.endpoints,
]


ORIGINALS: dict[Original, Callable[[ASGIApp], ASGIApp]] = {  # those that differ over HTTP
    "shortvideo-original": ShortVideoOriginal,
    "hichat-original": HichatOriginal,
}


@contextmanager
def without_pydantic() -> Iterator[None]:
    """Litestar loads a plugin for it if it is installed, as it is for typer's sake: 6 MB that nothing here uses."""
    if "pydantic" in sys.modules:
        yield
        return
    sys.modules["pydantic"] = None  # type: ignore[assignment]  # an import of it fails
    try:
        yield
    finally:
        del sys.modules["pydantic"]


@without_pydantic()
def build_app(container: Container) -> Litestar:
    settings = container.settings
    return Litestar(
        route_handlers=[
            *ENDPOINTS,
            upgrade_required,
            serving.handler,
            exports.download,
            *tus.handlers,
            *health.handlers(with_metrics=not settings.metrics_port),
            *docs_page.handlers(ENDPOINTS),
            *([pages.handler(settings.public_url, settings.media_redirect)] if settings.web_app else []),
        ],
        state=State({"container": container}),
        exception_handlers={Exception: error_renderer(tus.PATH, tus.HEADERS)},
        request_max_body_size=settings.max_body_bytes,
        openapi_config=None,
        logging_config=None,
    )


def build_asgi(container: Container) -> ASGIApp:
    """The application with the layers around it and the endpoint of the sockets."""
    app: ASGIApp = refusing(build_app(container))
    settings = container.settings
    if settings.web_app:
        app = SessionCookies(app, settings.public_url)
    if settings.cors_origins:
        app = CrossOrigin(app, settings, serving.PREFIX)
    sockets = BoundedSockets(container.sockets, container.settings.network_sockets)
    app = RequestMiddleware(app, sockets, PATHS)
    for name in ORIGINALS.keys() & set(settings.compat):
        app = ORIGINALS[name](app)
    return app


def build_server(app: ASGIApp | Any, settings: GatewaySettings) -> GatewayServer:
    """The server, configured as in production, for any application: tests and bench/ also serve their own with it."""
    return server_for(app, settings, SocketProtocol, MAX_FRAME_BYTES)
