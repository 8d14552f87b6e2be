"""The rate limit of a socket's frames, whatever protocol it speaks."""

from time import monotonic

from gateway.http.limits.rate_limits import per_second
from gateway.ws.connection import Connection
from gateway.ws.frames import Close

FRAME_LIMIT = per_second(20, 40)  # of one socket
FLOOD_SECONDS = 30.0  # a client that would have to wait for longer is closed


def seconds_over_limit(connection: Connection, scale: float) -> float:
    """Seconds until the next frame is allowed. Closes a client that goes on for long all the same.

    `scale`: the scale of all rate limits; 0: no limits.
    """
    if not scale:
        return 0.0
    full_at, wait = FRAME_LIMIT.bucket(scale).take(connection.frame_bucket, monotonic())
    if wait > FLOOD_SECONDS:
        connection.close(Close.OVERLOADED, "flood")
    # Refused frames count too, so a client that does not slow down stays refused.
    connection.frame_bucket = full_at
    return max(wait, 0.0)
