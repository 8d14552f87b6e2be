"""Errors with a stable reason, which travel between processes as gRPC status and a trailer.

Each service derives its own (`class PhoneTaken(Conflict)`), raises them anywhere, and never catches them
to translate: the server interceptor renders them, and the gateway maps the reason to each family's code.
"""

import re
from typing import ClassVar

import grpc

REASON_KEY = "x-error-reason"
FIELD_KEY = "x-error-field"
RETRY_AFTER_KEY = "x-retry-after"
# What gRPC itself says of a service that is away, too slow, full, of an older release or, by CANCELLED, about to end.
AWAY = (
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.CANCELLED,
)


class HitokError(Exception):
    """Base of all. `reason` is the class's name: PhoneTaken → PHONE_TAKEN.

    `field` names the parameter that is at fault, if it is one: that of the class, or of this error alone.
    """

    status: ClassVar[grpc.StatusCode] = grpc.StatusCode.INTERNAL
    reason: ClassVar[str] = "INTERNAL"
    field: str = ""

    def __init__(self, detail: str = "", retry_after: float | None = None, field: str = "") -> None:
        """`detail` is for developers, in English; `retry_after` is in seconds."""
        super().__init__(detail or field or self.reason)
        self.retry_after = retry_after
        if field:
            self.field = field

    def __init_subclass__(cls) -> None:
        cls.reason = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).upper()


class Invalid(HitokError):
    """The request cannot be right, whatever the state."""

    status = grpc.StatusCode.INVALID_ARGUMENT


class BatchTooLarge(Invalid):
    """More items than one call may bring."""


class Unauthenticated(HitokError):
    status = grpc.StatusCode.UNAUTHENTICATED


class Forbidden(HitokError):
    """This caller may not do this."""

    status = grpc.StatusCode.PERMISSION_DENIED


class NotFound(HitokError):
    status = grpc.StatusCode.NOT_FOUND


class Conflict(HitokError):
    """The state does not allow it: taken, done already."""

    status = grpc.StatusCode.ALREADY_EXISTS


class TooMany(HitokError):
    status = grpc.StatusCode.RESOURCE_EXHAUSTED


class Unavailable(HitokError):
    """Something we need is away for now; the caller may try again."""

    status = grpc.StatusCode.UNAVAILABLE


class Overloaded(Unavailable):
    """There is more to do than can be done in time. No channel tries RESOURCE_EXHAUSTED again."""

    status = grpc.StatusCode.RESOURCE_EXHAUSTED


class DatabaseUnavailable(Unavailable):
    pass


class CacheUnavailable(Unavailable):
    pass


class DeadlineTooShort(HitokError):
    """The call came without a deadline, or with too little left to be worth starting."""

    status = grpc.StatusCode.DEADLINE_EXCEEDED


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """The reason a service gave, or one for the status when it could not give any."""
    for key, value in error.trailing_metadata() or ():
        if key == REASON_KEY:
            return str(value)
    if error.code() in AWAY:
        return Unavailable.reason
    return HitokError.reason
