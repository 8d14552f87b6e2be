"""The gateway's settings; docs/operating.md lists those of every process."""

from typing import Annotated, Literal

from msgspec import Meta

from services.kit.config import Port, Settings

SERVICE = "gateway"
Original = Literal["shortvideo-original", "hichat-original", "hichat-derivative"]


class GatewaySettings(Settings, kw_only=True, frozen=True):
    jwt_secret: Annotated[str, Meta(description="verifies tokens; the user service signs them with the same secret")]
    http_host: Annotated[str, Meta(description="address on which HTTP listens")] = "127.0.0.1"
    http_ports: Annotated[tuple[Port, ...], Meta(min_length=1, description="every route answers on each of them")] = (
        8888,
        8889,
    )
    own_port: Annotated[
        Port,
        Meta(description="every route answers here too, and other gateways of this machine share http_ports; 0: no"),
    ] = 0
    user_target: Annotated[
        str, Meta(description="address of the user service; dns:///name:port for several replicas")
    ] = "127.0.0.1:18051"
    social_target: Annotated[str, Meta(description="address of the social service, likewise")] = "127.0.0.1:18052"
    media_target: Annotated[str, Meta(description="address of the media service, likewise")] = "127.0.0.1:18053"
    media_url: Annotated[str, Meta(description="object store; the same value as for the media service")] = ""
    media_redirect: Annotated[
        str,
        Meta(
            pattern="^(bucket|https?://.*)?$",
            description="redirect clients to this CDN, or to the `bucket`; empty: serve files here",
        ),
    ] = ""
    public_url: Annotated[
        str,
        Meta(
            pattern="^(https?://.+)?$",
            description="base url by which clients reach the gateway; empty: that of each request",
        ),
    ] = ""
    upload_seconds: Annotated[float, Meta(gt=0, description="longest duration of an upload")] = 21_600.0
    chat_target: Annotated[str, Meta(description="address of the chat service, likewise")] = "127.0.0.1:18054"
    chat_origins: Annotated[
        tuple[str, ...],
        Meta(description="Origins of pages that may open WebSockets, likewise, besides our own; empty: cors_origins"),
    ] = ()
    chat_sockets: Annotated[
        int, Meta(ge=1, description="WebSockets of one user on one gateway; a further one closes their oldest")
    ] = 10
    network_connections: Annotated[
        int,
        Meta(ge=0, description="open connections per network (IPv4 address, IPv6 /64), but for proxies; 0: no bound"),
    ] = 2_000
    network_sockets: Annotated[int, Meta(ge=0, description="open WebSockets per network; 0: no bound")] = 2_000
    metrics_port: Annotated[
        Port,
        Meta(description="serve /metrics here, at metrics_host; 0: on http_ports, for all who reach them"),
    ] = 0
    web_app: Annotated[
        bool, Meta(description="serve the web app at /; its cookies are Secure over HTTPS, or if public_url is https")
    ] = False
    rate_limit_scale: Annotated[float, Meta(ge=0, description="factor for all rate limits; 0: no limits")] = 1.0
    cors_origins: Annotated[
        tuple[str, ...],
        Meta(
            description="Origins of browser front ends that may call the API, with credentials; "
            "loopback: every origin on this machine; *: any, without credentials"
        ),
    ] = ()
    cors_headers: Annotated[
        tuple[str, ...], Meta(description="headers that these front ends may send, besides those that we read; *: any")
    ] = ()
    compat: Annotated[
        tuple[Original, ...],
        Meta(
            description="clients of the originals that are answered in the way of their servers: shortvideo-original, "
            "hichat-original; hichat-derivative: number the types of chats and messages on the socket as derivatives "
            "of hichat do (docs/contract/compat.md)"
        ),
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...], Meta(description="networks of proxies whose X-Forwarded-For header is trusted")
    ] = ()
    max_body_bytes: Annotated[int, Meta(ge=1024, description="largest JSON body in bytes")] = 1_048_576
    request_seconds: Annotated[float, Meta(gt=0, description="longest duration of a request")] = 10.0
