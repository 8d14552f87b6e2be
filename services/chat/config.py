"""The chat service's settings (docs/operating.md lists all of hitok's)."""

from typing import Annotated

from msgspec import Meta

from services.kit.config import Port, ServiceSettings

SERVICE = "chat"


class ChatSettings(ServiceSettings, kw_only=True, frozen=True):
    jwt_secret: Annotated[str, Meta(description="signs the tickets; the same as the user service's")]
    grpc_port: Port = 18054
    metrics_port: Port = 18154
    social_target: Annotated[str, Meta(description="the social service; dns:///name:port for many")] = "127.0.0.1:18052"
    media_target: Annotated[str, Meta(description="the media service; likewise")] = "127.0.0.1:18053"
    strangers: Annotated[bool, Meta(description="may people who are no friends write to each other?")] = False
    edit_seconds: Annotated[int, Meta(ge=0, description="how long a sender may edit or recall a message")] = 900
    ticket_seconds: Annotated[int, Meta(ge=1, le=300, description="life of a ticket to the socket")] = 30
    permission_seconds: Annotated[
        float, Meta(ge=0, le=3, description="how long the social service's yes is believed, if no event ends it")
    ] = 3.0
    presence_seconds: Annotated[int, Meta(ge=2, description="life of a connection that nobody refreshes")] = 90
    max_waiting: Annotated[int, Meta(ge=1, description="messages that wait to be written; beyond: try again")] = 5_000
    writers: Annotated[int, Meta(ge=1, le=32, description="transactions that write messages at a time")] = 2
