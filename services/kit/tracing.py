"""The OpenTelemetry SDK, which makes and sends spans. Loaded only if an OTLP endpoint is set."""

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from services.kit import VERSION
from services.kit.config import Settings


def open_provider(settings: Settings, service: str) -> TracerProvider:
    resource = Resource.create(
        {"service.name": f"hitok-{service}", "service.version": VERSION, "vcs.ref.head.revision": settings.revision}
    )
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(settings.otlp_ratio)), resource=resource)
    exporter = OTLPSpanExporter(settings.otlp_endpoint, insecure=not settings.otlp_endpoint.startswith("https"))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
