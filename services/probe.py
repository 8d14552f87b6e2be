"""Asks a process of hitok on this machine whether it is ready.

As a program, `python -m services.probe grpc user` (or `http gateway`) asks the process that runs with the
settings of this environment, and exits with 0 or 1. It is the health check of the images.
"""

import os
import sys
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException

SECONDS = 2
GRPC_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),  # the shared one backs off after each refusal: every start begins with some
    ("grpc.enable_http_proxy", 0),
)
SERVING = b"\x08\x01"  # HealthCheckResponse(status=SERVING)
PORTS = {"grpc": "grpc_port", "http": "http_ports"}


def is_ready(kind: str, service: str, port: int, environ: Mapping[str, str]) -> bool:
    """`environ` holds the settings of the process. With TLS, its certificate has to name 127.0.0.1."""
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
    # Imported late: gRPC costs 10 MB. The two bytes of the answer need no generated code.
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
    """The setting as text; "" if unset. The program must start fast, so it does not load the settings classes."""
    return environ.get(f"HITOK_{service}_{field}".upper()) or environ.get(f"HITOK_{field}".upper(), "")


def main(kind: str, service: str) -> int:
    port = find(os.environ, service, PORTS[kind]).partition(",")[0]
    if not port:
        sys.exit(f"HITOK_{PORTS[kind].upper()} is not set")
    return 0 if is_ready(kind, service, int(port), os.environ) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
