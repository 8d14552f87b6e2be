"""Routes for operators and developers: health, metrics, and the API page with its assets."""

import asyncio
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import msgspec
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response.base import ASGIResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway.http.errors import RouteNotFound
from services.kit import background

ASSETS = {"swagger_bundle.js": "text/javascript", "swagger_style.css": "text/css"}
DOCS_CSP = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>hitok API</title>
<link rel="stylesheet" href="/docs/swagger_style.css"></head>
<body><div id="swagger-ui"></div>
<script src="/docs/swagger_bundle.js"></script><script src="/docs/start.js"></script></body></html>
"""
# With the default validatorUrl the page would fetch a badge from another host.
START = """SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#swagger-ui", persistAuthorization: true, validatorUrl: null
});
"""


@get("/health/live", status_code=200)
async def live() -> ASGIResponse:
    """The process runs."""
    return _json({"status": "live"})


@get("/health/ready")
async def ready(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Send requests here: from the first contact with the services until draining begins.

    A background task of the gateway that failed makes it unready until the task runs again. A service that fails
    does not: its callers need their 503.
    """
    container = request.app.state.container
    missing = [] if container.met else _find_unconnected(container.channels)
    container.met = not missing
    if container.draining:
        return _json({"status": "draining"}, 503)
    if missing:
        return _json({"status": "starting", "waiting_for": missing}, 503)
    if not background.is_steady():
        return _json({"status": "recovering"}, 503)
    return _json({"status": "ready"})


def _find_unconnected(channels: Mapping[str, grpc.aio.Channel]) -> list[str]:
    """The services whose channel is not connected; each is asked to connect."""
    states = {service: channel.get_state(try_to_connect=True) for service, channel in channels.items()}
    return [service for service, state in states.items() if state is not grpc.ChannelConnectivity.READY]


@get("/metrics")
async def metrics() -> ASGIResponse:
    """What Prometheus scrapes."""
    # In a thread: it is a megabyte of text, which would delay every request by tenths of a second.
    body = await asyncio.to_thread(generate_latest)
    return ASGIResponse(body=body, headers={"content-type": CONTENT_TYPE_LATEST})


def handlers(openapi: bytes, *, with_metrics: bool) -> list[HTTPRouteHandler]:
    """The routes of this module. `openapi` is the document to serve."""

    @get("/openapi.json")
    async def openapi_document() -> ASGIResponse:
        return ASGIResponse(body=openapi, media_type="application/json")

    @get("/docs")
    async def page() -> ASGIResponse:
        return ASGIResponse(body=PAGE, media_type="text/html", headers={"content-security-policy": DOCS_CSP})

    @get("/docs/{name:str}")
    async def asset(name: FromPath[str]) -> ASGIResponse:
        if name == "start.js":
            return ASGIResponse(body=START, media_type="text/javascript")
        if name not in ASSETS:
            raise RouteNotFound
        headers = {"cache-control": "public, max-age=86400"}
        body = await asyncio.to_thread((folder / name).read_bytes)
        return ASGIResponse(body=body, media_type=ASSETS[name], headers=headers)

    folder = _find_assets()
    return [live, ready, *([metrics] if with_metrics else []), openapi_document, page, asset]


def _find_assets() -> Path:
    """Finds the package without importing it: an import reads all its pages into 40 MB of memory."""
    package = find_spec("offapi")
    assert package and package.origin
    return Path(package.origin).parent


def _json(value: Any, status: int = 200) -> ASGIResponse:
    return ASGIResponse(body=msgspec.json.encode(value), status_code=status)
