"""Devices that are pushed to: one for each session, which ends with it."""

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, delete, select, text

from services.chat.away.configuration import Drivers
from services.chat.away.drivers.driver import APNS, UNIFIED_PUSH, WEB_PUSH
from services.chat.away.drivers.encryption import AUTH_BYTES, from_base64url, is_public_key
from services.chat.away.models import AwayPush, PushDevice, PushSetting
from services.chat.errors import PushAddressInvalid, PushKeysInvalid, PushKindOff
from services.kit.context import Caller
from services.kit.sql.connection import AsyncConnection
from services.outbound.addresses import AddressRefused, check_url

FCM_TOKEN, APNS_TOKEN = re.compile(r"[\w:.%-]{16,4096}", re.ASCII), re.compile(r"[0-9a-fA-F]{64,200}")
ENCRYPTED = (WEB_PUSH, UNIFIED_PUSH)

# Two registrations of a session at once take turns.
LOCK = text("SELECT pg_advisory_xact_lock(:session_id)")
REPLACE = text("DELETE FROM push_device WHERE session_id = :session_id AND digest <> :digest")
# An address belongs to the session that registered it last. Repeating it changes nothing.
REGISTER = text("""INSERT INTO push_device AS old (id, user_id, session_id, kind, address, digest, p256dh, auth)
 VALUES (:id, :user_id, :session_id, :kind, :address, :digest, :p256dh, :auth)
 ON CONFLICT (digest) DO UPDATE SET id = excluded.id, user_id = excluded.user_id, session_id = excluded.session_id,
  kind = excluded.kind, p256dh = excluded.p256dh, auth = excluded.auth, created_at = now()
 WHERE (old.session_id, old.kind, old.p256dh, old.auth)
  IS DISTINCT FROM (excluded.session_id, excluded.kind, excluded.p256dh, excluded.auth)""")


def check(drivers: Drivers, kind: str, address: str, p256dh: str, auth: str) -> tuple[bytes, bytes]:
    """The device's keys. Raises PushKindOff, PushAddressInvalid, PushKeysInvalid."""
    if kind not in drivers.by_kind:
        raise PushKindOff
    if kind not in ENCRYPTED:
        if not (APNS_TOKEN if kind == APNS else FCM_TOKEN).fullmatch(address):
            raise PushAddressInvalid
        return b"", b""
    try:
        check_url(address, drivers.rules)
    except AddressRefused:
        raise PushAddressInvalid from None
    try:
        keys = from_base64url(p256dh), from_base64url(auth)
    except ValueError:
        raise PushKeysInvalid from None
    if not is_public_key(keys[0]) or len(keys[1]) != AUTH_BYTES:
        raise PushKeysInvalid
    return keys


async def register(
    connection: AsyncConnection, caller: Caller, id: int, kind: str, address: str, keys: tuple[bytes, bytes]
) -> Row[Any]:
    """The device of the caller's session from now on, instead of any other. `id`: of a new row."""
    digest = hashlib.sha256(address.encode()).digest()
    session = {"session_id": caller.session_id, "digest": digest}
    await connection.execute(LOCK, {"session_id": caller.session_id})
    await connection.execute(REPLACE, session)
    values = {"id": id, "user_id": caller.user_id, "kind": kind, "address": address}
    await connection.execute(REGISTER, {**session, **values, "p256dh": keys[0], "auth": keys[1]})
    query = select(PushDevice.__table__).where(PushDevice.session_id == caller.session_id)
    return (await connection.execute(query)).one()


async def list_devices(connection: AsyncConnection, caller: Caller) -> Sequence[Row[Any]]:
    """The newest first."""
    query = select(PushDevice.__table__).where(PushDevice.user_id == caller.user_id)
    return (await connection.execute(query.order_by(PushDevice.id.desc()))).all()


async def remove(connection: AsyncConnection, caller: Caller, device_id: int) -> None:
    """One of the caller's; 0: that of their session. Nothing happens if there is none."""
    which = PushDevice.id == device_id if device_id else PushDevice.session_id == caller.session_id
    await connection.execute(delete(PushDevice).where(PushDevice.user_id == caller.user_id, which))


async def remove_sessions(connection: AsyncConnection, session_ids: Sequence[int]) -> None:
    await connection.execute(delete(PushDevice).where(PushDevice.session_id.in_(session_ids)))


async def remove_user(connection: AsyncConnection, user_id: int) -> None:
    """The account is disabled."""
    await connection.execute(delete(PushDevice).where(PushDevice.user_id == user_id))


async def erase_user(connection: AsyncConnection, user_id: int) -> None:
    for model in (PushDevice, PushSetting, AwayPush):
        await connection.execute(delete(model).where(model.user_id == user_id))
