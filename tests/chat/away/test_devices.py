"""Devices: one for each session, which ends with it; and what their users wish to hear."""

import asyncio
from datetime import UTC, datetime

import pytest

from protos.chat.v1 import devices_pb2 as pb
from services.chat.away.settings import DAY, PushSettings, quiet_until
from tests.chat.away.stage import Stage, told
from tests.support.chat import direct, execute, friends, send
from tests.support.push_services import Browser
from tests.support.social import Running as Social
from tests.support.social import new_user, new_users, refusal


async def test_a_session_has_one_device(stage: Stage) -> None:
    user = new_user()
    browser = await stage.subscribe(user, session_id=user)
    (first,) = await stage.list_devices(user)
    assert (first.kind, first.origin, first.session_id) == ("webpush", stage.service.url, user)
    assert await stage.register(user, user, kind="webpush", **browser.subscription) == first
    await stage.subscribe(user, session_id=user)
    (second,) = await stage.list_devices(user)
    assert second.device_id != first.device_id
    await stage.subscribe(user, session_id=user + 10**15)
    assert len(await stage.list_devices(user)) == 2


async def test_registering_at_once(stage: Stage) -> None:
    """Fifty of one session, and fifty sessions with one address: one device each, and no error."""
    user, other = new_users(2)
    browsers = [Browser(stage.service, f"race-{user}-{number}") for number in range(50)]
    await asyncio.gather(*(stage.register(user, user, kind="webpush", **each.subscription) for each in browsers))
    assert len(await stage.list_devices(user)) == 1
    shared = browsers[0].subscription
    await asyncio.gather(*(stage.register(other, other + n * 10**12, kind="webpush", **shared) for n in range(50)))
    assert len(await stage.list_devices(other)) == 1
    assert len(await stage.list_devices(user)) <= 1


async def test_an_address_moves_to_who_registered_it_last(stage: Stage, social: Social) -> None:
    """What waited for the one before reaches nobody."""
    a, b, c = await friends(social, 3)
    browser = await stage.subscribe(b)
    await send(stage.chat, a, direct(b))
    await stage.plan()
    await stage.register(c, c, kind="webpush", **browser.subscription)
    await stage.send()
    assert not browser.requests
    assert not await stage.list_devices(b)
    await send(stage.chat, a, direct(b))
    await send(stage.chat, a, direct(c))
    await stage.settle()
    assert [each["data"]["seq"] for each in browser.received()] == [1]


async def test_messages_from_before_the_device_are_not_told(stage: Stage, social: Social) -> None:
    a, b = await friends(social)
    first = await stage.subscribe(b, session_id=b)
    await send(stage.chat, a, direct(b))
    second = await stage.subscribe(b, session_id=b + 10**15)
    await stage.settle()
    assert (len(first.requests), len(second.requests)) == (1, 0)


async def test_a_device_is_its_users_alone(stage: Stage) -> None:
    user, other = new_users(2)
    await stage.subscribe(user)
    (device,) = await stage.list_devices(user)
    assert not await stage.list_devices(other)
    await stage.call("RemoveDevice", other, other, pb.RemoveDeviceRequest(device_id=device.device_id))
    assert await stage.list_devices(user)
    await stage.call("RemoveDevice", user, 1, pb.RemoveDeviceRequest(device_id=device.device_id))
    assert not await stage.list_devices(user)
    await stage.subscribe(user, session_id=user)
    await stage.call("RemoveDevice", user, user, pb.RemoveDeviceRequest())
    assert not await stage.list_devices(user)


@pytest.mark.parametrize("how", ["session", "other session", "ban", "erasure"])
async def test_a_device_ends_with_its_session_or_account(stage: Stage, social: Social, how: str) -> None:
    a, b = await friends(social)
    browser = await stage.subscribe(b, session_id=b)
    await send(stage.chat, a, direct(b))
    await stage.plan()
    match how:
        case "session":
            await stage.hear("user.session.revoked", user_id=str(b), session_ids=[str(b), "1"])
        case "other session":
            await stage.hear("user.session.revoked", user_id=str(b), session_ids=["1", "2"])
        case "ban":
            await stage.hear("user.account.disabled", user_id=str(b))
        case "erasure":
            await stage.wish(b, content=True)
            await stage.hear("user.account.deleted", user_id=str(b))
            for table in ("push_device", "push_setting", "away_push"):
                assert not await execute(stage.chat, f"SELECT FROM {table} WHERE user_id = :b", b=b)
    await stage.settle()
    assert len(browser.requests) == (how == "other session")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": "fcm"}, "PUSH_KIND_OFF"),
        ({"kind": "sms"}, "PUSH_KIND_OFF"),
        ({"kind": ""}, "PUSH_KIND_OFF"),
        ({"address": "http://localhost/x"}, "PUSH_ADDRESS_INVALID"),
        ({"address": "https://localhost:22/x"}, "PUSH_ADDRESS_INVALID"),
        ({"address": ""}, "PUSH_ADDRESS_INVALID"),
        ({"p256dh": ""}, "PUSH_KEYS_INVALID"),
        ({"p256dh": "?"}, "PUSH_KEYS_INVALID"),
        ({"p256dh": "BA" + "A" * 85}, "PUSH_KEYS_INVALID"),
        ({"auth": "AAAA"}, "PUSH_KEYS_INVALID"),
    ],
)
async def test_what_is_no_device(stage: Stage, change: dict[str, str], reason: str) -> None:
    user = new_user()
    given = {"kind": "webpush"} | Browser(stage.service, f"none-{user}").subscription | change
    assert await refusal(stage.register(user, user, **given)) == reason
    assert not await stage.list_devices(user)


async def test_unified_push_speaks_web_push(stage: Stage, social: Social) -> None:
    a, b = await friends(social)
    phone = await stage.subscribe(b, kind="unifiedpush")
    await send(stage.chat, a, direct(b))
    await stage.settle()
    assert told(phone) == [("New message", 1)]


async def test_settings(stage: Stage) -> None:
    user = new_user()
    none = await stage.call("GetPushSettings", user, 1, pb.GetPushSettingsRequest())
    assert (none.content, none.time_zone, list(none.kinds)) == (False, "UTC", ["unifiedpush", "webpush"])
    assert len(none.vapid_public_key) == 87
    wished = {"content": True, "quiet_from": 1320, "quiet_until": 420, "time_zone": "Asia/Shanghai"}
    await stage.wish(user, **wished, muted_kinds=["like", "message", "like"])
    got = await stage.call("GetPushSettings", user, 1, pb.GetPushSettingsRequest())
    assert {name: getattr(got, name) for name in wished} == wished
    assert list(got.muted_kinds) == ["like", "message"]
    for wrong in ({"time_zone": "Mars/Base"}, {"time_zone": "../etc/passwd"}, {"quiet_from": DAY}, {"quiet_until": -1}):
        assert await refusal(stage.wish(user, **wrong)) == "TIME_ZONE_INVALID"
    assert await refusal(stage.wish(user, muted_kinds=["nonsense"])) == "KIND_INVALID"


@pytest.mark.parametrize(
    ("zone", "hours", "now", "until"),
    [
        ("UTC", (22 * 60, 7 * 60), "2026-01-01T21:59", None),
        ("UTC", (22 * 60, 7 * 60), "2026-01-01T22:00", "2026-01-02T07:00"),
        ("UTC", (22 * 60, 7 * 60), "2026-01-02T06:59", "2026-01-02T07:00"),
        ("UTC", (22 * 60, 7 * 60), "2026-01-02T07:00", None),
        ("UTC", (60, 120), "2026-01-01T01:30", "2026-01-01T02:00"),
        ("UTC", (0, 0), "2026-01-01T00:00", None),
        ("Asia/Shanghai", (22 * 60, 7 * 60), "2026-01-01T14:00", "2026-01-01T23:00"),
        ("America/New_York", (22 * 60, 7 * 60), "2026-03-08T04:00", "2026-03-08T11:00"),  # the night of 23 hours
    ],
)
def test_quiet_hours(zone: str, hours: tuple[int, int], now: str, until: str | None) -> None:
    settings = PushSettings(False, *hours, zone)
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    expected = datetime.fromisoformat(until).replace(tzinfo=UTC) if until else None
    assert quiet_until(settings, moment) == expected


async def test_quiet_hours_hold_pushes_back(stage: Stage, social: Social) -> None:
    """Until they end, when one push tells all that is unread."""
    a, b = await friends(social)
    browser = await stage.subscribe(b)
    minute = datetime.now(UTC).hour * 60 + datetime.now(UTC).minute
    await stage.wish(b, quiet_from=(minute - 120) % DAY, quiet_until=(minute + 120) % DAY)
    await send(stage.chat, a, direct(b))
    await stage.settle_once()
    await send(stage.chat, a, direct(b))
    await stage.settle_once()
    assert not browser.requests
    (row,) = await stage.waiting(b)
    assert (row.first_seq, row.last_seq, row.attempts) == (1, 2, 0)
    assert 100 * 60 < (row.due_at - datetime.now(UTC)).total_seconds() < 125 * 60
    await stage.wish(b)
    await stage.settle()
    assert told(browser) == [("2 new messages", 2)]


async def test_kinds_that_are_not_wanted(stage: Stage, social: Social) -> None:
    a, b = await friends(social)
    browser = await stage.subscribe(b)
    await stage.wish(b, muted_kinds=["message"])
    await send(stage.chat, a, direct(b))
    await stage.settle()
    assert not browser.requests
