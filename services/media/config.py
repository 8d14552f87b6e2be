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
    social_target: Annotated[
        str, Meta(description="address of the social service, for the `copy-standings` command")
    ] = "127.0.0.1:18052"
    media_url: Annotated[
        str,
        Meta(description="object store: file:///folder or s3://bucket/prefix?endpoint=…; empty: HITOK_VAR/media"),
    ] = ""
    max_image_bytes: Annotated[int, Meta(ge=1, description="largest image")] = 20 * MIB
    max_video_bytes: Annotated[int, Meta(ge=1, description="largest video")] = 4096 * MIB
    max_audio_bytes: Annotated[int, Meta(ge=1, description="largest audio file")] = 200 * MIB
    max_document_bytes: Annotated[int, Meta(ge=1, description="largest document")] = 50 * MIB
    max_pixels: Annotated[int, Meta(ge=1, description="largest image or video frame, in pixels")] = 50_000_000
    max_duration_seconds: Annotated[int, Meta(ge=1, description="longest audio or video")] = 14_400
    daily_bytes: Annotated[int, Meta(ge=1, description="most bytes one user may upload in 24 hours")] = 20 * 1024 * MIB
    daily_refusals: Annotated[
        int, Meta(ge=1, description="most files of one user that may be refused in 24 hours before uploads are")
    ] = 300
    total_bytes: Annotated[int, Meta(ge=1, description="most bytes one user may keep")] = 200 * 1024 * MIB
    unused_days: Annotated[int, Meta(ge=1, description="age from which an upload that nothing shows is deleted")] = 30
    signed_seconds: Annotated[
        int, Meta(ge=30, le=3_600, description="shortest time for which a private file's url is valid")
    ] = 600
    upload_hours: Annotated[int, Meta(ge=1, description="how long an unfinished upload is kept")] = 24
    sweep_grace_seconds: Annotated[
        int, Meta(ge=1, description="age from which a file without a row or a temporary file is deleted")
    ] = 86_400
    sweep_seconds: Annotated[float, Meta(gt=0, description="time between two sweeps")] = 3_600.0
    workers: Annotated[int, Meta(ge=0, le=32, description="videos processed here at the same time; 0: none")] = 1
    lease_seconds: Annotated[
        float, Meta(gt=0, description="time after which another worker takes over a dead worker's job")
    ] = 30.0
    job_seconds: Annotated[int, Meta(ge=1, description="longest time for processing one video")] = 3_600
