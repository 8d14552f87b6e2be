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
    push_vapid_key: Annotated[
        str, Meta(description="Web Push: 32 random bytes (openssl rand -hex 32) that browsers know this server by")
    ] = ""
    push_contact: Annotated[
        str, Meta(pattern="^(mailto:|https://)", description="where operators of push services reach you")
    ] = "mailto:postmaster@localhost"
    push_fcm_account: Annotated[str, Meta(description="Firebase: the JSON of a service account, best as _FILE")] = ""
    push_fcm_url: Annotated[str, Meta(pattern="^https://", description="Firebase's API")] = "https://fcm.googleapis.com"
    push_apns_key: Annotated[str, Meta(description="Apple: the .p8 key for tokens, best as _FILE")] = ""
    push_apns_key_id: Annotated[str, Meta(description="Apple: the key's id")] = ""
    push_apns_team_id: Annotated[str, Meta(description="Apple: the team's id")] = ""
    push_apns_topic: Annotated[str, Meta(description="Apple: the app's bundle id")] = ""
    push_apns_url: Annotated[
        str, Meta(pattern="^https://", description="Apple's API; https://api.sandbox.push.apple.com for development")
    ] = "https://api.push.apple.com"
    push_delay_seconds: Annotated[
        float, Meta(ge=0, description="how long a device has to acknowledge a message before the others are pushed to")
    ] = 8.0
    push_ttl_seconds: Annotated[int, Meta(ge=60, description="age at which a push is given up")] = 86_400
    push_hosts: Annotated[
        tuple[str, ...], Meta(description="push services that devices may name, with all names below; empty: all")
    ] = ()
    push_ports: Annotated[tuple[int, ...], Meta(description="ports of push services that devices may name")] = (443,)
    push_private_networks: Annotated[
        bool, Meta(description="whether devices may name push services in private networks, as at home")
    ] = False
    push_ca: Annotated[str, Meta(description="PEM file of further authorities that push services' TLS may use")] = ""
