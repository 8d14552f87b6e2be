"""Whether one of hitok's own processes says it is ready."""

import asyncio
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException

SECONDS = 2
GRPC_OPTIONS = (
    # Its own connection: the shared pool waits longer after each refusal, which every start begins with.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
)
SERVING = b"\x08\x01"  # HealthCheckResponse(status=SERVING)


async def is_ready(kind: str, port: int) -> bool:
    return await asyncio.to_thread(is_ready_grpc if kind == "grpc" else is_ready_http, port)


def is_ready_http(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def is_ready_grpc(port: int) -> bool:
    # Costs 10 MB, which a run without gRPC services need not pay; the message is too small to pay for more.
    import grpc  # noqa: PLC0415

    with grpc.insecure_channel(f"127.0.0.1:{port}", options=GRPC_OPTIONS) as channel:
        try:
            check: Callable[..., bytes] = channel.unary_unary("/grpc.health.v1.Health/Check")
            return check(b"", timeout=SECONDS) == SERVING
        except grpc.RpcError:
            return False
