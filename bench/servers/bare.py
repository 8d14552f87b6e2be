"""The floor to compare with: a Litestar handler that does nothing, on the gateway's server.

It runs as `python -m bench.servers.bare PORT`.
"""

import os
import socket
import sys
from typing import Any

import uvloop
from litestar import Litestar, Request, get, post
from litestar.response.base import ASGIResponse

from gateway.app import build_server
from gateway.config import GatewaySettings

BODY = b'{"code":20000,"message":"ok","data":{"hello":"world"}}'


@get("/hello")
async def hello() -> ASGIResponse:
    return ASGIResponse(body=BODY)


BLOCK = os.urandom(8 * 1_048_576)  # not zeros: they would share one page of memory, which stays in the CPU's cache


@get("/bytes")
async def block() -> ASGIResponse:
    return ASGIResponse(body=BLOCK)


@post("/take")
async def take(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Reads the body and drops it."""
    async for _ in request.stream():
        pass
    return ASGIResponse(body=BODY)


async def main(port: int) -> None:
    app = Litestar([hello, block, take], openapi_config=None, logging_config=None, request_max_body_size=None)
    settings = GatewaySettings(internal_secret="", nats_url="", redis_url="", jwt_secret="")
    listener = socket.create_server(("127.0.0.1", port))
    await build_server(app, settings).serve([listener])


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
