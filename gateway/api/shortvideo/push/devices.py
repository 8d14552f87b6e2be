"""api/push/*: devices that are pushed to while their user is away, and what they are told (docs/push.md)."""

from gateway.chat import devices
from gateway.container import Call
from gateway.http.endpoint import endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.limits.rate_limits import per_second

LIMIT = per_second(1, 20)


@endpoint("POST", "/api/push/register", family=SHORT_VIDEO, limit=LIMIT)
async def register(call: Call, params: devices.RegisterDevice) -> devices.DeviceView:
    """Push to this device while the user is away, until its session ends."""
    return await devices.register(call.container.chat, params)


@endpoint("GET", "/api/push/devices", family=SHORT_VIDEO, limit=LIMIT)
async def list_devices(call: Call, params: devices.Nothing) -> devices.DevicePage:
    """The caller's devices that are pushed to, of all sessions."""
    return await devices.list_devices(call.container.chat, params)


@endpoint("POST", "/api/push/remove", family=SHORT_VIDEO, limit=LIMIT)
async def remove(call: Call, params: devices.RemoveDevice) -> None:
    """Push to a device no more: that of this session, or another of the caller."""
    await devices.remove(call.container.chat, params)


@endpoint("GET", "/api/push/settings", family=SHORT_VIDEO, limit=LIMIT)
async def get_settings(call: Call, params: devices.Nothing) -> devices.PushSettingsView:
    """What the caller is pushed, and what a browser needs to subscribe."""
    return await devices.get_settings(call.container.chat, params)


@endpoint("POST", "/api/push/set-settings", family=SHORT_VIDEO, limit=LIMIT)
async def set_settings(call: Call, params: devices.SetPushSettings) -> devices.PushSettingsView:
    """Set what the caller is pushed: with or without content, of which kinds, and the quiet hours."""
    return await devices.set_settings(call.container.chat, params)


endpoints = [register, list_devices, remove, get_settings, set_settings]
