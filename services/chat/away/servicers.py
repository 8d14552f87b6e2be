"""The RPCs of protos/chat/v1/devices.proto."""

from typing import Any
from urllib.parse import urlsplit

from protos.chat.v1 import devices_pb2 as pb
from protos.chat.v1.devices_pb2_grpc import DevicesServicer
from services.chat.away import devices, settings
from services.chat.away.away import Away
from services.chat.away.settings import PushSettings
from services.chat.messages import milliseconds
from services.kit.context import require_caller
from services.kit.db import Database, after_commit
from services.kit.ids import IdGenerator


class Devices(DevicesServicer):
    def __init__(self, database: Database, new_id: IdGenerator, away: Away) -> None:
        self._database, self._new_id, self._away = database, new_id, away

    async def RegisterDevice(self, request: pb.RegisterDeviceRequest, context: object) -> pb.Device:
        caller, asked = require_caller(), (request.kind, request.address)
        keys = devices.check(self._away.drivers, *asked, request.p256dh, request.auth)
        async with self._database.transaction() as connection:
            row = await devices.register(connection, caller, self._new_id(), *asked, keys)
            after_commit(connection, self._away.recorder.registered)
        return _device(row)

    async def ListDevices(self, request: pb.ListDevicesRequest, context: object) -> pb.ListDevicesResponse:
        async with self._database.reading() as connection:
            rows = await devices.list_devices(connection, require_caller())
        return pb.ListDevicesResponse(devices=map(_device, rows))

    async def RemoveDevice(self, request: pb.RemoveDeviceRequest, context: object) -> pb.RemoveDeviceResponse:
        async with self._database.transaction() as connection:
            await devices.remove(connection, require_caller(), request.device_id)
        return pb.RemoveDeviceResponse()

    async def GetPushSettings(self, request: pb.GetPushSettingsRequest, context: object) -> pb.PushSettings:
        async with self._database.reading() as connection:
            return self._settings(await settings.get(connection, require_caller()))

    async def SetPushSettings(self, request: pb.PushSettings, context: object) -> pb.PushSettings:
        hours = request.quiet_from, request.quiet_until, request.time_zone or "UTC"
        chosen = PushSettings(request.content, *hours, sorted(set(request.muted_kinds)))
        async with self._database.transaction() as connection:
            await settings.put(connection, require_caller(), chosen)
        return self._settings(chosen)

    def _settings(self, chosen: PushSettings) -> pb.PushSettings:
        drivers = self._away.drivers
        return pb.PushSettings(
            **chosen._asdict(), kinds=sorted(drivers.by_kind), vapid_public_key=drivers.vapid_public_key
        )


def _device(row: Any) -> pb.Device:
    parts = urlsplit(row.address)
    return pb.Device(
        device_id=row.id,
        kind=row.kind,
        origin=f"{parts.scheme}://{parts.netloc}" if parts.netloc else "",
        session_id=row.session_id,
        created_at=milliseconds(row.created_at),
    )
