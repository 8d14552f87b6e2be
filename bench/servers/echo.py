"""The floor of an RPC: a gRPC method that returns its request. `python -m bench.servers.echo PORT`"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import grpc.aio
import uvloop

from bench.accounts import show
from bench.clients.load import Result, load
from bench.report import row
from bench.servers.stack import free_ports

METHOD = "/bench.Echo/Echo"
MESSAGE = b"x" * 32
CONNECTIONS, SECONDS, ROUNDS = 128, 4.0, 3


class _Echo(grpc.GenericRpcHandler):
    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return grpc.unary_unary_rpc_method_handler(_echo)


async def _echo(request: bytes, context: object) -> bytes:
    return request


async def serve(port: int) -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Echo(),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


@contextmanager
def running_echo() -> Iterator[str]:
    """Yields the address."""
    (port,) = free_ports(1)
    process = subprocess.Popen([sys.executable, "-m", "bench.servers.echo", str(port)])
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


async def load_echo(target: str, callers: int, seconds: float) -> Result:
    """Calls as fast as it can from `callers` on one channel, each with one call at a time."""
    latencies: list[float] = []

    async def run(call: Any, end: float) -> None:
        while (started := time.perf_counter()) < end:
            await call(MESSAGE, timeout=5)
            latencies.append(time.perf_counter() - started)

    async with grpc.aio.insecure_channel(target, [("grpc.enable_http_proxy", 0)]) as channel:
        await asyncio.wait_for(channel.channel_ready(), 10)
        began = time.perf_counter()
        call: Any = channel.unary_unary(METHOD)
        await asyncio.gather(*(run(call, began + seconds) for _ in range(callers)))
        return Result(len(latencies), time.perf_counter() - began, sorted(latencies), 0)


async def compare_with_echo(echo: str, base: str, name: str, requests: list[bytes]) -> None:
    """Prints the rate of the requests, and its share of the echo's."""
    shares = []
    for _ in range(ROUNDS):  # in turn, because the load of these machines varies
        floor = await load_echo(echo, CONNECTIONS, SECONDS)
        ours = await load(base, requests, CONNECTIONS, SECONDS)
        show("gRPC echo", floor)
        show(name, ours)
        shares.append(ours.rate / floor.rate)
    row("share of the floor", f"{sorted(shares)[ROUNDS // 2]:.2f}", "aim: at least 0.5")


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
