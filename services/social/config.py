"""The social service's settings (docs/operating.md lists all of hitok's)."""

from typing import Annotated

from msgspec import Meta

from services.kit.config import Port, ServiceSettings

SERVICE = "social"


class SocialSettings(ServiceSettings, kw_only=True, frozen=True):
    grpc_port: Port = 18052
    metrics_port: Port = 18152
    max_friends: Annotated[int, Meta(ge=1, le=5_000, description="friends per user")] = 5_000
    max_followed: Annotated[int, Meta(ge=1, le=5_000, description="users that one user may follow")] = 5_000
    max_friend_requests: Annotated[int, Meta(ge=1, description="pending friend requests per user")] = 200
    max_groups: Annotated[int, Meta(ge=1, le=500, description="groups per user")] = 500
    max_members: Annotated[int, Meta(ge=1, le=10_000, description="members per group")] = 10_000
