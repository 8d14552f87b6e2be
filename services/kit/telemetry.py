"""Metrics on a port of their own, and traces if an OTLP endpoint is set.

Without an endpoint no span is made: the functions here then return at once.
"""

import socket
import ssl
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from http.server import ThreadingHTTPServer
from threading import Thread
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.trace import Link, Span, SpanKind, StatusCode
from prometheus_client import Gauge, Histogram, MetricsHandler, disable_created_metrics
from structlog.typing import EventDict

from services.kit import VERSION
from services.kit.config import ConfigError, Settings

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SERVED = Histogram("hitok_rpc_served_seconds", "RPCs served", ["method", "status"], buckets=BUCKETS)
CALLED = Histogram("hitok_rpc_called_seconds", "RPCs called, retries included", ["method", "status"], buckets=BUCKETS)
BUILD = Gauge("hitok_build_info", "Always 1; what runs here", ["service", "version", "revision"])
CERTIFICATE = Gauge("hitok_certificate_expires_timestamp_seconds", "When this process's certificate ends, Unix time")

TRACE = "traceparent"  # the W3C header, used in NATS messages too
MAX_LINKS = 32

_tracer = trace.get_tracer("hitok")
_tracing = False
_no_span = nullcontext(trace.INVALID_SPAN)


class _Scrape(MetricsHandler):
    timeout = 10.0  # seconds for a client to send its request


class _MetricsServer(ThreadingHTTPServer):
    def __init__(self, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Scrape)


def start(settings: Settings, service: str, metrics_port: int | None) -> None:
    """Serves /metrics from a thread, if a port is given, and starts exporting traces."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # else one more series per metric
    BUILD.labels(service, VERSION, settings.revision).set(1)
    if settings.tls_cert:
        _show_expiry(settings.tls_cert)
    if metrics_port is not None:
        try:
            server = _MetricsServer(settings.metrics_host, metrics_port)
        except OSError as error:
            raise ConfigError(f"port {metrics_port} for metrics: {error.strerror}") from None
        # Its loop looks whether to end once an hour, not twice a second: nothing ends it but the process.
        Thread(target=server.serve_forever, args=(3_600.0,), name="metrics", daemon=True).start()
    if settings.otlp_endpoint:
        from services.kit import tracing  # noqa: PLC0415 - 5 MB, needed for traces only

        trace.set_tracer_provider(tracing.open_provider(settings, service))
        global _tracing
        _tracing = True


def _show_expiry(file: str) -> None:
    with suppress(OSError, ssl.SSLError):  # rpc/tls.py refuses it, and says why
        found = ssl._ssl._test_decode_cert(file)  # type: ignore[attr-defined]  # the only reader in Python's own library
        CERTIFICATE.set(ssl.cert_time_to_seconds(found["notAfter"]))


def stop() -> None:
    """Sends the remaining spans."""
    if _tracing:
        trace.get_tracer_provider().shutdown()  # type: ignore[attr-defined]  # the SDK's


def is_tracing() -> bool:
    return _tracing


def span(name: str, kind: SpanKind, carrier: Mapping[str, str] | None = None) -> AbstractContextManager[Span]:
    """A span around the block: a child of the one in `carrier`, else of the current one; none when tracing is off."""
    if not _tracing:
        return _no_span
    parent = propagate.extract(carrier) if carrier is not None else None
    return _tracer.start_as_current_span(name, context=parent, kind=kind)


def following(name: str, kind: SpanKind, carrier: Mapping[str, str] | None) -> AbstractContextManager[Span]:
    """A span for handling a message: a child of its sender's span. Does nothing if the message carries no trace."""
    if not _tracing or not carrier or not carrier.get(TRACE):
        return _no_span
    return span(name, kind, carrier)


def gathering(name: str, traces: Iterable[str]) -> AbstractContextManager[Span]:
    """A span for a batch: a child of the first item's span, with links to those of the others.

    `traces` are the results of `here` for the items.
    """
    known = [each for each in traces if each] if _tracing else []
    if not known:
        return _no_span
    parent, *others = (propagate.extract({TRACE: each}) for each in known[: MAX_LINKS + 1])
    links = [Link(trace.get_current_span(other).get_span_context()) for other in others]
    return _tracer.start_as_current_span(name, context=parent, links=links)


def statement_span(*statements: str) -> Span | None:
    """A span for a trip to PostgreSQL of a traced request; background polling gets none. The caller ends it."""
    if not _tracing or not trace.get_current_span().is_recording():
        return None
    operation = statements[0].split(maxsplit=1)[0].upper()
    text = ";\n".join(statements)
    attributes = {"db.system.name": "postgresql", "db.operation.name": operation, "db.query.text": text}
    return _tracer.start_span(operation, kind=SpanKind.CLIENT, attributes=attributes)


def fail(span: Span, error: BaseException) -> None:
    """Records only the error's class: the server's text may quote a row."""
    span.set_status(StatusCode.ERROR, type(error).__name__)


def here() -> str:
    """The current span as text, to be stored where contexts do not reach; "" if there is none."""
    return trace_headers().get(TRACE, "") if _tracing else ""


def trace_headers() -> dict[str, str]:
    """The W3C headers that make the callee's span a child of the current one."""
    headers: dict[str, str] = {}
    if _tracing:
        propagate.inject(headers)
    return headers


def add_trace_id(_: Any, __: str, event: EventDict) -> EventDict:
    """A log processor that adds the trace's id, so that a log line leads to its trace."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
    return event
