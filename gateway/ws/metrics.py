"""Metrics of the sockets."""

from prometheus_client import Counter, Gauge, Histogram

from gateway.ws.frames import Close
from services.kit import telemetry

OPEN = Gauge("hitok_sockets_open", "WebSockets whose hello was accepted")
CLOSED = Counter("hitok_sockets_closed", "WebSockets closed by the gateway", ["code"])
ANSWERED = Histogram(
    "hitok_socket_request_seconds",
    "Requests answered over sockets",
    ["type", "outcome"],
    buckets=telemetry.BUCKETS,
)
EVENTS = Counter("hitok_socket_events", "Events received from NATS", ["kind"])
DELIVERIES = Counter("hitok_socket_deliveries", "Events delivered to sockets")
DROPPED = Counter("hitok_socket_dropped_frames", "Frames dropped for sockets that read too slowly", ["lane"])
RESYNCS = Counter("hitok_socket_resyncs", "Resync frames sent", ["reason"])

# Every series exists from the start, because an alert sees no increase in one that begins with its first event.
for code in Close:
    CLOSED.labels(int(code))
for lane in ("durable", "latest"):
    DROPPED.labels(lane)
for reason in ("slow", "gap", "behind"):
    RESYNCS.labels(reason)
