"""Push services in the tests' process: HTTP/1.1 or HTTP/2 over TLS, and the keys of a browser that decrypts."""

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import h2.config
import h2.connection
import h2.events
import jwt
import msgspec
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.chat.away.drivers.encryption import CURVE, from_base64url, public_bytes, to_base64url

END_SECONDS = 2.0  # for a connection to be closed


class Request(NamedTuple):
    method: str
    path: str
    headers: Mapping[str, str]  # names in small letters
    body: bytes
    version: str  # http/1.1 or h2


class Answer(NamedTuple):
    status: int = 201
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    seconds: float = 0.0  # before it is sent


class PushService:
    """Keeps every request. `answer` decides what is answered."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer: Callable[[Request], Answer] = lambda request: Answer()
        self.port, self.ca = 0, ""
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def of(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        chosen = writer.get_extra_info("ssl_object").selected_alpn_protocol()
        with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            await (self._serve_h2(reader, writer) if chosen == "h2" else self._serve_h11(reader, writer))
        writer.close()

    async def end(self) -> None:
        """Waits until its connections are closed, of clients that were killed."""
        for writer in self._writers:
            writer.close()
            with suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), END_SECONDS)

    async def _respond(self, request: Request) -> Answer:
        self.requests.append(request)
        answer = self.answer(request)
        await asyncio.sleep(answer.seconds)
        return answer

    async def _serve_h11(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := (await reader.readuntil(b"\r\n\r\n")).decode():
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            method, path, _ = first.split(" ")
            answer = await self._respond(Request(method, path, headers, body, "http/1.1"))
            told = [*answer.headers, ("content-length", str(len(answer.body)))]
            head = f"HTTP/1.1 {answer.status} -\r\n" + "".join(f"{name}: {value}\r\n" for name, value in told)
            writer.write(head.encode() + b"\r\n" + answer.body)
            await writer.drain()

    async def _serve_h2(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        heads: dict[int, dict[str, str]] = {}
        bodies: dict[int, bytes] = {}
        running: set[asyncio.Task[None]] = set()
        while data := await reader.read(65_536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    heads[event.stream_id] = {_text(name): _text(value) for name, value in event.headers}
                elif isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] = bodies.get(event.stream_id, b"") + event.data
                    connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    id = event.stream_id
                    running.add(asyncio.create_task(self._end(connection, writer, id, heads[id], bodies.get(id, b""))))
            writer.write(connection.data_to_send())
            await writer.drain()

    async def _end(
        self, connection: Any, writer: asyncio.StreamWriter, id: int, head: dict[str, str], body: bytes
    ) -> None:
        answer = await self._respond(Request(head[":method"], head[":path"], head, body, "h2"))
        connection.send_headers(id, [(":status", str(answer.status)), *answer.headers])
        connection.send_data(id, answer.body, end_stream=True)
        writer.write(connection.data_to_send())


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


@asynccontextmanager
async def running_push_service(folder: Path, *protocols: str) -> AsyncIterator[PushService]:
    """At `localhost`, for which it has a certificate. `protocols`: those of ALPN; none: HTTP/1.1 alone."""
    service, authority = PushService(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    context.set_alpn_protocols(list(protocols) or ["http/1.1"])
    service.ca = str(folder / "push-ca.pem")
    authority.cert_pem.write_to_path(service.ca)
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0, ssl=context)
    service.port = server.sockets[0].getsockname()[1]
    async with server:
        yield service


class Browser:
    """A subscription to Web Push, as a browser has it: it decrypts what arrives."""

    def __init__(self, service: PushService, name: str) -> None:
        self.service, self.path = service, f"/push/{name}"
        self._key, self._auth = ec.generate_private_key(CURVE), name.encode().ljust(16, b".")[:16]

    @property
    def subscription(self) -> dict[str, str]:
        keys = {"p256dh": to_base64url(public_bytes(self._key)), "auth": to_base64url(self._auth)}
        return {"address": self.service.url + self.path, **keys}

    @property
    def requests(self) -> list[Request]:
        return self.service.of(self.path)

    def received(self) -> list[Any]:
        return [msgspec.json.decode(self.decrypt(request.body)) for request in self.requests]

    def decrypt(self, body: bytes) -> bytes:
        """Written from RFC 8291 and RFC 8188, not with the code that it tests."""
        salt, (size, length) = body[:16], struct.unpack("!IB", body[16:21])
        sender, sealed = body[21 : 21 + length], body[21 + length :]
        assert len(sealed) <= size
        shared = self._key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(CURVE, sender))
        info = b"WebPush: info\0" + public_bytes(self._key) + sender
        secret = HKDF(SHA256(), 32, self._auth, info).derive(shared)
        key = HKDF(SHA256(), 16, salt, b"Content-Encoding: aes128gcm\0").derive(secret)
        nonce = HKDF(SHA256(), 12, salt, b"Content-Encoding: nonce\0").derive(secret)
        plain = AESGCM(key).decrypt(nonce, sealed, None)
        return plain.rstrip(b"\0").removesuffix(b"\x02")


def verify_vapid(request: Request, origin: str) -> dict[str, Any]:
    """The claims of the request's token, which the key in the request has signed for this push service."""
    scheme, fields = request.headers["authorization"].split(" ", 1)
    assert scheme == "vapid"
    told = dict(field.strip().split("=", 1) for field in fields.split(","))
    key = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, from_base64url(told["k"]))
    return dict(jwt.decode(told["t"], key, ["ES256"], audience=origin))
