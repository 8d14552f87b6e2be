"""Turns rows into protobuf messages."""

import ipaddress
from datetime import datetime
from typing import Any

import msgspec

from protos.user.v1.accounts_pb2 import Session, SessionVerdict, Tokens
from protos.user.v1.audit_pb2 import AuditEntry
from protos.user.v1.users_pb2 import User
from services.kit.context import Caller
from services.user.identities.parsing import format_phone
from services.user.sessions import IssuedTokens


def milliseconds(moment: datetime | None) -> int:
    """Unix milliseconds; 0 for never."""
    return int(moment.timestamp() * 1000) if moment else 0


def plain_name(user_id: int) -> str:
    """A username that says nothing."""
    return f"user{user_id}"


def user(account: Any, region: str, private: bool = False) -> User:
    """The public card; with `private`, also the fields that only the user and admins may see.

    Of a profile that a moderator hid, others see a plain name.
    """
    hidden = account.profile_hidden_at is not None and not private
    name = plain_name(account.id)
    message = User(
        user_id=account.id,
        username=name if hidden else account.username,
        nickname=name if hidden else account.nickname,
        avatar="" if hidden else account.avatar,
        bio="" if hidden else account.bio,
        sex=account.sex,
        role=account.role,
        created_at=milliseconds(account.created_at),
        updated_at=milliseconds(account.updated_at),
        login_at=milliseconds(account.login_at),
        heartbeat_at=milliseconds(account.heartbeat_at),
        logout_at=milliseconds(account.logout_at),
        is_logout=account.is_logout,
    )
    if private:
        message.email = account.email or ""
        message.phone = format_phone(account.phone, region) if account.phone else ""
        message.client_ip = account.client_ip
        message.client_port = account.client_port
        message.device = account.device
        message.searchable_by_phone = account.searchable_by_phone
        message.searchable_by_email = account.searchable_by_email
    return message


def session(row: Any, caller: Caller) -> Session:
    return Session(
        session_id=row.id,
        device=row.device,
        ip=row.ip,
        created_at=milliseconds(row.created_at),
        last_seen_at=milliseconds(row.last_seen_at),
        expires_at=milliseconds(row.expires_at),
        current=row.id == caller.session_id,
        network=coarse_network(row.ip),
    )


def coarse_network(ip: str) -> str:
    """The network of an address, as far as it says from where; "" for what is no address."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ""
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))


def verdict(row: Any) -> SessionVerdict:
    return SessionVerdict(
        session_id=row.session_id,
        user_id=row.user_id,
        role=row.role,
        lacks_second_factor=row.lacks_second_factor,
    )


def tokens(issued: IssuedTokens) -> Tokens:
    return Tokens(
        user_id=issued.user_id, atoken=issued.atoken, rtoken=issued.rtoken, atoken_expires_at=issued.expires_at
    )


def audit_entry(row: Any) -> AuditEntry:
    return AuditEntry(
        audit_id=row.id,
        at=milliseconds(row.at),
        actor_id=row.actor_id or 0,
        operator=row.operator,
        act=row.act,
        target_kind=row.target_kind,
        target_id=row.target_id,
        reason=row.reason,
        details=msgspec.json.encode(row.details).decode(),
    )
