"""The chat service's settings (docs/operating.md lists all settings)."""

from typing import Annotated

from msgspec import Meta

from services.kit.config import Port, ServiceSettings

SERVICE = "chat"


class ChatSettings(ServiceSettings, kw_only=True, frozen=True):
    jwt_secret: Annotated[str, Meta(description="signs the tickets; the same as the user service's")]
    grpc_port: Port = 18054
    metrics_port: Port = 18154
    social_target: Annotated[str, Meta(description="the social service; dns:///name:port for many")] = "127.0.0.1:18052"
    media_target: Annotated[str, Meta(description="the media service; dns:///name:port for many")] = "127.0.0.1:18053"
    strangers: Annotated[bool, Meta(description="whether users who are not friends may write to each other")] = False
    edit_seconds: Annotated[int, Meta(ge=0, description="how long a sender may edit or recall a message")] = 900
    ticket_seconds: Annotated[int, Meta(ge=1, le=300, description="how long a socket ticket is valid")] = 30
    permission_seconds: Annotated[
        float, Meta(ge=0, le=3, description="how long a yes of the social service is cached, unless an event ends it")
    ] = 3.0
    presence_seconds: Annotated[
        int, Meta(ge=2, description="how long a connection counts as open after its last refresh")
    ] = 90
    max_waiting: Annotated[
        int, Meta(ge=1, description="messages that may wait to be written; further ones are told to try again")
    ] = 5_000
    writers: Annotated[int, Meta(ge=1, le=32, description="transactions that write messages at the same time")] = 2
