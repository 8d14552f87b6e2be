"""While the user service has no room for another password, the gateway refuses logins itself.

A refusal by the service costs both processes most of a request's time. A flood of logins would take the time that
bcrypt needs, and fewer logins succeed the more are tried. Each refusal is held back, and its connection not read
meanwhile: clients that try again at once would else take a core.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import grpc.aio

from services.kit.errors import Overloaded, reason_of

PATHS = frozenset((b"/api/login/login", b"/api/v1/user/login", b"/api/v2/user/login"))
SECONDS = 0.1  # after a refusal; the service's queue holds passwords for 0.8 s, so it does not run dry meanwhile
HOLD_SECONDS = 0.05  # before a refusal is sent; refusals are to be known within 0.1 s

_closed_until = 0.0


@contextmanager
def noticing_refusals() -> Iterator[None]:
    """Around the call of the service."""
    global _closed_until
    try:
        yield
    except grpc.aio.AioRpcError as error:
        if reason_of(error) == Overloaded.reason:
            _closed_until = monotonic() + SECONDS
        raise


def are_refused(url: bytes) -> bool:
    """Whether `url` is a login, and one would have to wait for too long."""
    return url in PATHS and monotonic() < _closed_until
