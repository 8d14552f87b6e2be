"""Whether one of our processes on this machine says that it is ready.

As a program: `python -m services.kit.process.health grpc user` (or `http gateway`) asks the process whose settings the
environment holds, and ends with 0 or 1. The images check themselves with it.
"""

import os
import sys
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException

SECONDS = 2
GRPC_OPTIONS = (
    # Its own connection: the shared pool waits longer after each refusal, which every start begins with.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
)
SERVING = b"\x08\x01"  # HealthCheckResponse(status=SERVING)
PORTS = {"grpc": "grpc_port", "http": "http_ports"}


def is_ready(kind: str, service: str, port: int, environ: Mapping[str, str]) -> bool:
    """`environ` is what the process was started with; over TLS its certificate has to name 127.0.0.1."""
    return is_ready_grpc(service, port, environ) if kind == "grpc" else is_ready_http(port)


def is_ready_http(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def is_ready_grpc(service: str, port: int, environ: Mapping[str, str]) -> bool:
    # Costs 10 MB, which a run without gRPC services need not pay; the message is too small to pay for more.
    import grpc  # noqa: PLC0415

    from services.kit.rpc import tls  # noqa: PLC0415

    credentials = tls.channel_credentials(tls.Files(*(find(environ, service, f"tls_{f}") for f in tls.Files._fields)))
    target = f"127.0.0.1:{port}"
    with (
        grpc.secure_channel(target, credentials, GRPC_OPTIONS)
        if credentials
        else grpc.insecure_channel(target, GRPC_OPTIONS)
    ) as channel:
        try:
            check: Callable[..., bytes] = channel.unary_unary("/grpc.health.v1.Health/Check")
            return check(b"", timeout=SECONDS) == SERVING
        except grpc.RpcError:
            return False


def find(environ: Mapping[str, str], service: str, field: str) -> str:
    """The setting as text; "" if it is not there. The program is to be quick, so it loads no settings."""
    return environ.get(f"HITOK_{service}_{field}".upper()) or environ.get(f"HITOK_{field}".upper(), "")


def main(kind: str, service: str) -> int:
    port = find(os.environ, service, PORTS[kind]).partition(",")[0]
    if not port:
        sys.exit(f"HITOK_{PORTS[kind].upper()} is not set")
    return 0 if is_ready(kind, service, int(port), os.environ) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
