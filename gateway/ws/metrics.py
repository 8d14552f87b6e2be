"""What operators see of the sockets."""

from prometheus_client import Counter, Gauge, Histogram

from gateway.ws.frames import Close
from services.kit import telemetry

OPEN = Gauge("hitok_sockets_open", "WebSockets that have said hello")
CLOSED = Counter("hitok_sockets_closed", "WebSockets closed by us", ["code"])
ANSWERED = Histogram(
    "hitok_socket_request_seconds", "Requests answered over sockets", ["type", "outcome"], buckets=telemetry.BUCKETS
)
EVENTS = Counter("hitok_socket_events", "Events that came to this gateway", ["kind"])
DELIVERIES = Counter("hitok_socket_deliveries", "Events handed to sockets")
DROPPED = Counter("hitok_socket_dropped_frames", "Frames forgotten of sockets that do not keep up", ["lane"])
RESYNCS = Counter("hitok_socket_resyncs", "Times that sockets were told to sync", ["reason"])

# There from the start: an alert sees no increase in a series that begins with its first event.
for code in Close:
    CLOSED.labels(int(code))
for lane in ("durable", "latest"):
    DROPPED.labels(lane)
for reason in ("slow", "gap", "behind"):
    RESYNCS.labels(reason)
