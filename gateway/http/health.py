"""Routes for operators: health and metrics."""

import asyncio
from collections.abc import Mapping
from typing import Any

import grpc
import grpc.aio
import msgspec
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway.http.forwarding import IGNORED, TELL
from services.kit import background


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
    return _json({"status": "ready"}, headers=TELL if request.scope.get(IGNORED) else None)


def _find_unconnected(channels: Mapping[str, grpc.aio.Channel]) -> list[str]:
    """The services whose channel is not connected; each is asked to connect."""
    states = {service: channel.get_state(try_to_connect=True) for service, channel in channels.items()}
    return [service for service, state in states.items() if state is not grpc.ChannelConnectivity.READY]


@get("/metrics")
async def metrics() -> ASGIResponse:
    """Returns the metrics in Prometheus' format."""
    # In a thread: it is a megabyte of text, which would delay every request by tenths of a second.
    body = await asyncio.to_thread(generate_latest)
    return ASGIResponse(body=body, headers={"content-type": CONTENT_TYPE_LATEST})


def handlers(*, with_metrics: bool) -> list[HTTPRouteHandler]:
    """All routes of this module."""
    return [live, ready, *([metrics] if with_metrics else [])]


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> ASGIResponse:
    return ASGIResponse(body=msgspec.json.encode(value), status_code=status, headers=headers)
