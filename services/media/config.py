"""The media service's settings (docs/operating.md lists all of hitok's)."""

from typing import Annotated

from msgspec import Meta

from services.kit.config import Port, ServiceSettings

SERVICE = "media"
MIB = 1_048_576
Bytes = Annotated[int, Meta(ge=1)]


class MediaSettings(ServiceSettings, kw_only=True, frozen=True):
    grpc_port: Port = 18053
    metrics_port: Port = 18153
    social_target: Annotated[str, Meta(description="the social service, for `copy-standings`")] = "127.0.0.1:18052"
    media_url: Annotated[
        str,
        Meta(description="object store: file:///folder or s3://bucket/prefix?endpoint=…; empty: HITOK_VAR/media"),
    ] = ""
    max_image_bytes: Annotated[int, Meta(ge=1, description="largest image")] = 20 * MIB
    max_video_bytes: Annotated[int, Meta(ge=1, description="largest video")] = 4096 * MIB
    max_audio_bytes: Annotated[int, Meta(ge=1, description="largest audio file")] = 200 * MIB
    max_document_bytes: Annotated[int, Meta(ge=1, description="largest document")] = 50 * MIB
    max_pixels: Annotated[int, Meta(ge=1, description="of an image, or a frame of a video")] = 50_000_000
    max_duration_seconds: Annotated[int, Meta(ge=1, description="of audio and video")] = 14_400
    daily_bytes: Annotated[int, Meta(ge=1, description="uploaded by one user in 24 hours")] = 20 * 1024 * MIB
    signed_seconds: Annotated[int, Meta(ge=30, le=3_600, description="how long a private file's url is good")] = 600
    upload_hours: Annotated[int, Meta(ge=1, description="how long an unfinished upload is kept")] = 24
    sweep_grace_seconds: Annotated[
        int, Meta(ge=1, description="age at which the sweeper believes that a file has no owner")
    ] = 86_400
    sweep_seconds: Annotated[float, Meta(gt=0, description="between two sweeps")] = 3_600.0
    workers: Annotated[int, Meta(ge=0, le=32, description="videos processed at a time; 0: none here")] = 1
    lease_seconds: Annotated[float, Meta(gt=0, description="after which a dead worker's job is taken over")] = 30.0
    job_seconds: Annotated[int, Meta(ge=1, description="longest that processing one video may take")] = 3_600
