"""The gateway's settings (docs/operating.md lists all of hitok's)."""

from typing import Annotated

from msgspec import Meta

from services.kit.config import Port, Settings

SERVICE = "gateway"


class GatewaySettings(Settings, kw_only=True, frozen=True):
    jwt_secret: Annotated[str, Meta(description="verifies the tokens; the user service signs with the same")]
    http_host: Annotated[str, Meta(description="where HTTP listens")] = "127.0.0.1"
    http_ports: Annotated[tuple[Port, ...], Meta(min_length=1, description="every route answers on each of them")] = (
        8888,
        8889,
    )
    user_target: Annotated[str, Meta(description="the user service; dns:///name:port for many")] = "127.0.0.1:18051"
    social_target: Annotated[str, Meta(description="the social service; likewise")] = "127.0.0.1:18052"
    media_target: Annotated[str, Meta(description="the media service; likewise")] = "127.0.0.1:18053"
    media_url: Annotated[str, Meta(description="object store, the same as the media service's")] = ""
    media_redirect: Annotated[
        str,
        Meta(pattern="^(bucket|https?://.*)?$", description="send clients to this CDN, or to the bucket; empty: serve"),
    ] = ""
    public_url: Annotated[
        str, Meta(pattern="^(https?://.+)?$", description="how clients reach us; empty: as each request did")
    ] = ""
    upload_seconds: Annotated[float, Meta(gt=0, description="longest an upload may take")] = 21_600.0
    chat_target: Annotated[str, Meta(description="the chat service; likewise")] = "127.0.0.1:18054"
    chat_origins: Annotated[
        tuple[str, ...],
        Meta(description="Origins of pages that may open sockets, beside our own; *: any; empty: cors_origins"),
    ] = ()
    chat_sockets: Annotated[
        int, Meta(ge=1, description="sockets of one user on one gateway; a further one closes his oldest")
    ] = 10
    rate_limit_scale: Annotated[float, Meta(ge=0, description="factor on every rate limit; 0: off")] = 1.0
    cors_origins: Annotated[tuple[str, ...], Meta(description="Origins of browser front ends; *: any")] = ()
    trusted_proxies: Annotated[tuple[str, ...], Meta(description="networks whose X-Forwarded-For is believed")] = ()
    max_body_bytes: Annotated[int, Meta(ge=1024, description="largest JSON body")] = 1_048_576
    request_seconds: Annotated[float, Meta(gt=0, description="longest a request may take")] = 10.0
