"""Asks a process of hitok on this machine whether it is ready.

As a program, `python -m services.probe grpc user` (or `http gateway`) asks the process that runs with the
settings of this environment, and exits with 0 or 1. It is the health check of the images.
"""

import os
import socket
import sys
from collections.abc import Callable, Mapping

SECONDS = 2
GRPC_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),  # the shared one backs off after each refusal: every start begins with some
    ("grpc.enable_http_proxy", 0),
)
SERVING = b"\x08\x01"  # HealthCheckResponse(status=SERVING)
METHOD = "/grpc.health.v1.Health/Check"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0, 1, 3, 4, 7  # kinds of frames
END_STREAM, ACK, END_HEADERS = 1, 1, 4  # flags
MOST_FRAMES = 20  # before the answer
PORTS = {"grpc": "grpc_port", "http": "http_ports"}


def is_ready(kind: str, service: str, port: int, environ: Mapping[str, str]) -> bool:
    """`environ` holds the settings of the process. With TLS, its certificate has to name 127.0.0.1."""
    return is_ready_grpc(service, port, environ) if kind == "grpc" else is_ready_http(port)


def is_ready_http(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
            connection.sendall(b"GET /health/ready HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
            with connection.makefile("rb") as answer:
                return answer.readline().split()[1:2] == [b"200"]
    except OSError:
        return False


def is_ready_grpc(service: str, port: int, environ: Mapping[str, str]) -> bool:
    files = [find(environ, service, f"tls_{part}") for part in ("ca", "cert", "key")]
    if any(files):
        return is_ready_tls(port, files)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
            return ask(connection) == SERVING
    except OSError:
        return False


def is_ready_tls(port: int, files: list[str]) -> bool:
    # Imported late: gRPC costs 10 MB. The two bytes of the answer need no generated code.
    import grpc  # noqa: PLC0415

    from services.kit.rpc import tls  # noqa: PLC0415

    credentials = tls.channel_credentials(tls.Files(*files))
    assert credentials
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials, GRPC_OPTIONS) as channel:
        try:
            check: Callable[..., bytes] = channel.unary_unary(METHOD)
            return check(b"", timeout=SECONDS) == SERVING
        except grpc.RpcError:
            return False


def ask(connection: socket.socket) -> bytes:
    """The answer to an empty call over HTTP/2 (RFC 9113), as bytes of protobuf; none if the call failed.

    By hand: what starts hitok asks each service, and would keep 10 MB of gRPC for it."""
    headers = (
        b"\x83\x86" + text(b"\x04", METHOD) + text(b"\x01", "127.0.0.1")
    )  # method, scheme; by HPACK's static table
    headers += text(b"\x0f\x10", "application/grpc") + text(b"\0\x02te", "trailers")
    call = frame(HEADERS, END_HEADERS, 1, headers) + frame(DATA, END_STREAM, 1, bytes(5))
    connection.sendall(PREFACE + frame(SETTINGS, 0, 0, b"") + call)
    with connection.makefile("rb") as answers:
        for _ in range(MOST_FRAMES):
            if len(head := answers.read(9)) < 9:
                break
            kind, flags, content = head[3], head[4], answers.read(int.from_bytes(head[:3], "big"))
            if kind == DATA:
                return content[5:]
            if kind == SETTINGS and not flags:
                connection.sendall(frame(SETTINGS, ACK, 0, b""))
            elif kind in (RST_STREAM, GOAWAY) or (kind == HEADERS and flags & END_STREAM):
                break
    return b""


def frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return len(content).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + content


def text(name: bytes, value: str) -> bytes:
    return name + bytes((len(value),)) + value.encode()


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
