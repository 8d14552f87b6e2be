"""The caller and the request id, in a context and as gRPC metadata from process to process."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Iterable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass

import grpc.aio

from services.kit.errors import Unauthenticated

SECRET_KEY = "x-internal-secret"  # noqa: S105
REQUEST_ID_KEY = "x-request-id"
CALLER_KEYS = ("x-user-id", "x-role", "x-session-id")  # one for each field of Caller


@dataclass(frozen=True, slots=True)
class Caller:
    """The user on whose behalf a request runs. All fields are zero for an anonymous request."""

    user_id: int = 0
    role: int = 0
    session_id: int = 0


ANONYMOUS = Caller()
current_caller: ContextVar[Caller] = ContextVar("caller", default=ANONYMOUS)
current_request_id: ContextVar[str] = ContextVar("request_id", default="")
# The event-loop time at which the current request times out; calls made for it may not last longer.
current_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


class CallerMissing(Unauthenticated):
    """The RPC acts for a user, but the call names none."""


def require_caller() -> Caller:
    """The caller, if it is a user. Raises CallerMissing."""
    caller = current_caller.get()
    if not caller.user_id:
        raise CallerMissing
    return caller


def new_request_id() -> str:
    return secrets.token_hex(8)


def to_metadata(internal_secret: str) -> list[tuple[str, str]]:
    """The metadata of an outgoing call made in the current context."""
    metadata = [(SECRET_KEY, internal_secret), (REQUEST_ID_KEY, current_request_id.get() or new_request_id())]
    caller = current_caller.get()
    if caller.user_id:
        metadata += zip(CALLER_KEYS, map(str, (caller.user_id, caller.role, caller.session_id)), strict=True)
    return metadata


def from_metadata(metadata: Iterable[tuple[str, str | bytes]]) -> tuple[Caller, str]:
    """The caller and the request id of an incoming call. Check the call's credential first."""
    values = dict(metadata)
    caller = Caller(*(int(values.get(key, 0)) for key in CALLER_KEYS))
    return caller, str(values.get(REQUEST_ID_KEY) or new_request_id())


def metadata_of(context: grpc.aio.ServicerContext[object, object]) -> list[tuple[str, str | bytes]]:
    return list(context.invocation_metadata() or ())


def network_of(ip: str) -> str:
    """The address, or for IPv6 the /64 network, which belongs to one customer."""
    with suppress(ValueError):
        address = ipaddress.IPv6Address(ip)
        if not address.ipv4_mapped:
            return str(ipaddress.ip_network((address, 64), strict=False))
    return ip
