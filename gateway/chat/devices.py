"""Devices that are pushed to while their user is away: one function for each request, which serves the frame of a
socket and the HTTP route alike (docs/push.md).
"""

from typing import Annotated

from msgspec import Meta, Struct, field

from gateway.chat.client import Chat
from gateway.http.params import OptionalId
from protos.chat.v1 import devices_pb2 as pb
from services.client_json.times import rfc3339
from services.kit.context import current_caller

Key = Annotated[str, Meta(max_length=128)]
TimeOfDay = Annotated[str, Meta(pattern=r"^(([01]\d|2[0-3]):[0-5]\d)?$", description="HH:MM, or empty")]


class Keys(Struct):
    """Of a subscription to Web Push, as browsers give them."""

    p256dh: Key = ""
    auth: Key = ""


class RegisterDevice(Struct):
    """`address`: the endpoint of a subscription (webpush, unifiedpush), or the token of fcm or apns."""

    kind: Annotated[str, Meta(max_length=32, description="webpush unifiedpush fcm apns")]
    address: Annotated[str, Meta(max_length=4_096)]
    keys: Keys = field(default_factory=Keys)


class RemoveDevice(Struct):
    """Without `device_id`: the device of this session."""

    device_id: OptionalId = 0


class SetPushSettings(Struct):
    """Replaces all. `content`: show what was written. Quiet hours are times of the time zone; equal or empty: none."""

    content: bool = False
    quiet_from: TimeOfDay = ""
    quiet_until: TimeOfDay = ""
    time_zone: Annotated[str, Meta(max_length=64)] = "UTC"
    muted_kinds: Annotated[list[str], Meta(max_length=50)] = field(default_factory=list)


class DeviceView(Struct):
    """`origin`: the push service of a URL. `current`: of this session."""

    device_id: str
    kind: str
    origin: str
    current: bool
    created_at: str


class DevicePage(Struct):
    devices: list[DeviceView]


class PushSettingsView(Struct):
    """`kinds`: of devices that this server can push to. `vapid_public_key`: for a browser's subscription."""

    content: bool
    quiet_from: str
    quiet_until: str
    time_zone: str
    muted_kinds: list[str]
    kinds: list[str]
    vapid_public_key: str


class Nothing(Struct):
    pass


async def register(chat: Chat, params: RegisterDevice) -> DeviceView:
    keys = {"p256dh": params.keys.p256dh, "auth": params.keys.auth}
    request = pb.RegisterDeviceRequest(kind=params.kind, address=params.address, **keys)
    return _device(await chat.devices.RegisterDevice(request))


async def list_devices(chat: Chat, params: Nothing) -> DevicePage:
    answer = await chat.devices.ListDevices(pb.ListDevicesRequest())
    return DevicePage([_device(each) for each in answer.devices])


async def remove(chat: Chat, params: RemoveDevice) -> None:
    await chat.devices.RemoveDevice(pb.RemoveDeviceRequest(device_id=params.device_id))


async def get_settings(chat: Chat, params: Nothing) -> PushSettingsView:
    return _settings(await chat.devices.GetPushSettings(pb.GetPushSettingsRequest()))


async def set_settings(chat: Chat, params: SetPushSettings) -> PushSettingsView:
    request = pb.PushSettings(
        content=params.content,
        quiet_from=_minutes(params.quiet_from),
        quiet_until=_minutes(params.quiet_until),
        time_zone=params.time_zone,
        muted_kinds=params.muted_kinds,
    )
    return _settings(await chat.devices.SetPushSettings(request))


def _device(row: pb.Device) -> DeviceView:
    is_current = row.session_id == current_caller.get().session_id
    return DeviceView(str(row.device_id), row.kind, row.origin, is_current, rfc3339(row.created_at))


def _settings(row: pb.PushSettings) -> PushSettingsView:
    is_quiet = row.quiet_from != row.quiet_until
    hours = [_time(each) if is_quiet else "" for each in (row.quiet_from, row.quiet_until)]
    told = [row.time_zone, list(row.muted_kinds), list(row.kinds), row.vapid_public_key]
    return PushSettingsView(row.content, *hours, *told)  # type: ignore[arg-type]


def _minutes(time: str) -> int:
    return int(time[:2]) * 60 + int(time[3:]) if time else 0


def _time(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
