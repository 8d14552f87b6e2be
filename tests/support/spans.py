"""An OTLP/gRPC collector in this process, for what others send to it."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)


@dataclass(frozen=True)
class Span:
    service: str
    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, str]


class Collector(TraceServiceServicer):
    endpoint: str

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def Export(self, request: ExportTraceServiceRequest, _: Any) -> ExportTraceServiceResponse:
        for resource in request.resource_spans:
            service = {pair.key: pair.value.string_value for pair in resource.resource.attributes}["service.name"]
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                attributes = {pair.key: str(pair.value) for pair in span.attributes}
                self.spans.append(Span(service.removeprefix("hitok-"), span.name, *ids, attributes))
        return ExportTraceServiceResponse()

    def wait(self, trace: str, root: str, enough: Callable[[list[list[str]]], object], seconds: float = 15) -> None:
        """Until the ways of a trace, each from the span whose parent is `root`, are enough; they come bit by bit."""
        ends = time.monotonic() + seconds
        while not enough(found := self._ways(trace, root)):
            assert time.monotonic() < ends, found
            time.sleep(0.05)

    def _ways(self, trace: str, root: str) -> list[list[str]]:
        """To each span, as `<process> <name>` of each on the way."""
        spans = {span.id: span for span in list(self.spans) if span.trace == trace}
        ways = []
        for span in spans.values():
            way = [span]
            while parent := spans.get(way[0].parent):
                way.insert(0, parent)
            if way[0].parent == root:
                ways.append([f"{each.service} {each.name}" for each in way])
        return ways


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    collector.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield collector
    finally:
        server.stop(0).wait()
