"""Metrics on a port of their own, and traces when an OTLP endpoint is set."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import Histogram, start_http_server

from services.kit.config import ConfigError, Settings

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SERVED = Histogram("hitok_rpc_served_seconds", "RPCs served", ["method", "status"], buckets=BUCKETS)
CALLED = Histogram("hitok_rpc_called_seconds", "RPCs called, retries included", ["method", "status"], buckets=BUCKETS)

_tracer = trace.get_tracer("hitok")
_tracing = False


def start(settings: Settings, service: str, metrics_port: int | None) -> None:
    """Serves /metrics from a thread and starts exporting traces. `metrics_port` None: someone else serves them."""
    if metrics_port is not None:
        try:
            start_http_server(metrics_port, settings.metrics_host)
        except OSError as error:
            raise ConfigError(f"port {metrics_port} for metrics: {error.strerror}") from None
    if settings.otlp_endpoint:
        provider = TracerProvider(resource=Resource.create({"service.name": f"hitok-{service}"}))
        exporter = OTLPSpanExporter(settings.otlp_endpoint, insecure=not settings.otlp_endpoint.startswith("https"))
        provider.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
        global _tracing
        _tracing = True


def stop() -> None:
    """Sends the spans still held."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.shutdown()


@contextmanager
def span(name: str, kind: trace.SpanKind, carrier: dict[str, str] | None = None) -> Iterator[None]:
    """A span around the block, a child of the one in `carrier` or of the current one; nothing when tracing is off."""
    if not _tracing:
        yield
        return
    parent = propagate.extract(carrier) if carrier is not None else None
    with _tracer.start_as_current_span(name, context=parent, kind=kind):
        yield


def trace_headers() -> dict[str, str]:
    """The W3C headers that make the callee's span a child of ours."""
    headers: dict[str, str] = {}
    if _tracing:
        propagate.inject(headers)
    return headers
