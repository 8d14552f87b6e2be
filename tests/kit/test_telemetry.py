"""Metrics and traces: gauges are right when read, and spans are linked. Each test has its own spans."""

import asyncio
import secrets
import time
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from services.kit import VERSION, background, telemetry, tracing
from services.kit.db import Database, open_database
from services.kit.events import consumer, queue_metrics
from services.kit.events.consumer import consume
from services.kit.events.outbox import emit
from services.kit.events.relay import relaying
from services.kit.nats import Event, open_nats
from services.kit.process import loop_lag
from services.kit.sql.connection import AsyncConnection
from services.user.config import UserSettings
from tests.support.servers import private_nats

INSERT = text("INSERT INTO inbox (consumer, event) VALUES ('test', :event)")


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Tracing is on while the test runs."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "_tracer", provider.get_tracer("test"))
    monkeypatch.setattr(telemetry, "_tracing", True)
    yield exporter
    provider.shutdown()


@pytest.fixture
async def nats(settings: UserSettings) -> AsyncIterator[Client]:
    async with open_nats(settings.nats_url, "test") as client:
        await eventually(lambda: client.is_connected)
        yield client


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shortens waits that take seconds in production."""
    monkeypatch.setattr(consumer, "RETRY_DELAY", 0.05)
    monkeypatch.setattr(queue_metrics, "EVERY", 0.1)
    monkeypatch.setattr(queue_metrics, "AGAIN", 0.1)


async def eventually(condition: Any, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def by_name(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans.get_finished_spans()}


def is_child(span: ReadableSpan, of: ReadableSpan) -> bool:
    return bool(span.parent and of.context and span.parent.span_id == of.context.span_id)


def test_the_project_reads_its_version_from_the_kit() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "services.kit.VERSION"}


def test_a_process_says_which_release_and_which_commit_it_is(
    settings: UserSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "_tracing", False)
    telemetry.start(msgspec.structs.replace(settings, revision="abc123"), "releases", None)
    assert value("hitok_build_info", service="releases", version=VERSION, revision="abc123") == 1
    provider = tracing.open_provider(msgspec.structs.replace(settings, revision="abc123"), "releases")
    assert provider.resource.attributes["vcs.ref.head.revision"] == "abc123"
    assert provider.resource.attributes["service.version"] == VERSION
    provider.shutdown()


async def test_a_blocked_event_loop_shows() -> None:
    before, seen = value("hitok_loop_lag_seconds_sum"), value("hitok_loop_lag_seconds_count")
    loop_lag.watch_loop()
    await asyncio.sleep(background.until(loop_lag.EVERY) - 0.05)
    time.sleep(0.3)  # noqa: ASYNC251 (what must not happen, and does)
    await eventually(lambda: value("hitok_loop_lag_seconds_count") > seen)
    assert value("hitok_loop_lag_seconds_sum") - before > 0.2


async def test_the_use_of_the_pool_and_who_waits_for_it_are_read_when_asked(settings: UserSettings) -> None:
    async with open_database(msgspec.structs.replace(settings, postgres_pool=2)) as database, AsyncExitStack() as held:
        assert (value("hitok_pool_size"), value("hitok_pool_in_use"), value("hitok_pool_waiting")) == (2, 0, 0)
        for _ in range(2):
            await held.enter_async_context(database.transaction())
        waiting = [asyncio.create_task(use(database)) for _ in range(3)]
        await eventually(lambda: value("hitok_pool_waiting") == 3)
        assert value("hitok_pool_in_use") == 2
        await held.aclose()
        await asyncio.gather(*waiting)
        assert (value("hitok_pool_in_use"), value("hitok_pool_waiting")) == (0, 0)


async def use(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(text("SELECT 1"))


async def test_the_outbox_ages_while_nats_is_away(settings: UserSettings, tmp_path: Path, quick: None) -> None:
    with private_nats(tmp_path) as server:
        async with AsyncExitStack() as stack:
            database = await stack.enter_async_context(open_database(settings))
            client = await stack.enter_async_context(open_nats(server.url, "test"))
            await stack.enter_async_context(relaying(database, client, "test", settings.postgres_url, 7))
            await eventually(lambda: value("hitok_nats_connected") == 1)
            server.stop()
            await announce(database, "away")
            await eventually(lambda: value("hitok_outbox_oldest_seconds") > 0.5)
            assert value("hitok_nats_connected") == 0
            server.start()
            await eventually(lambda: value("hitok_outbox_oldest_seconds") == 0)


async def announce(database: Database, noun: str) -> None:
    async with database.transaction() as connection:
        await emit(connection, f"test.{noun}.happened", "thing:1", number=1)


async def test_what_waits_for_a_consumer_and_what_it_gave_up_are_counted(
    database: Database, nats: Client, settings: UserSettings, quick: None
) -> None:
    noun, go_on = f"thing{secrets.token_hex(4)}", asyncio.Event()

    async def handle(connection: AsyncConnection, event: Event) -> None:
        await go_on.wait()
        raise ValueError("never")

    async with relaying(database, nats, noun, settings.postgres_url, 7):
        async with background.run(consume=lambda: consume(database, nats, noun, [f"events.test.{noun}.>"], handle)):
            await announce(database, noun)
            await announce(database, noun)
            await eventually(lambda: value("hitok_consumer_pending", consumer=noun) == 2)
            assert value("hitok_dead_letters", consumer=noun) == 0
            go_on.set()
            await eventually(lambda: value("hitok_dead_letters", consumer=noun) == 2, 20)
            await eventually(lambda: value("hitok_consumer_pending", consumer=noun) == 0)


async def test_statements_are_spans_without_their_values(spans: InMemorySpanExporter, settings: UserSettings) -> None:
    async with open_database(settings) as database:
        with telemetry.span("request", SpanKind.SERVER):
            async with database.transaction() as connection:
                await connection.execute(INSERT, {"event": "very secret"})
            with pytest.raises(ProgrammingError):
                async with database.transaction() as connection:
                    await connection.execute(text("SELECT nothing"))
        async with database.transaction() as connection:
            await connection.execute(text("DELETE FROM inbox"))  # part of no request
    found = by_name(spans)
    assert found.keys() == {"request", "INSERT", "SELECT"}
    assert all(is_child(found[name], found["request"]) for name in ("INSERT", "SELECT"))
    assert str((found["INSERT"].attributes or {})["db.query.text"]).startswith("INSERT INTO inbox")
    assert (found["INSERT"].status.is_ok, found["SELECT"].status.is_ok) == (True, False)
    assert "secret" not in "".join(span.to_json() for span in spans.get_finished_spans())


async def test_an_event_belongs_to_the_trace_of_its_request(
    spans: InMemorySpanExporter, nats: Client, settings: UserSettings
) -> None:
    noun, handled = f"thing{secrets.token_hex(4)}", asyncio.Event()

    async def handle(connection: AsyncConnection, event: Event) -> None:
        await connection.execute(INSERT, {"event": "handled"})
        handled.set()

    async with open_database(settings) as database:
        async with relaying(database, nats, noun, settings.postgres_url, 7):
            async with background.run(consume=lambda: consume(database, nats, noun, [f"events.test.{noun}.>"], handle)):
                with telemetry.span("request", SpanKind.SERVER):
                    await announce(database, noun)
                await asyncio.wait_for(handled.wait(), 10)
                name = f"handle events.test.{noun}.happened"
                await eventually(lambda: name in by_name(spans))
    found = by_name(spans)
    published = found[f"publish events.test.{noun}.happened"]
    assert is_child(published, found["request"])
    assert is_child(found[name], published)
    writes = [span for span in spans.get_finished_spans() if span.name == "INSERT" and is_child(span, found[name])]
    assert len(writes) == 2  # the inbox's and the handler's


def test_a_span_for_many_is_a_child_of_one_and_linked_to_the_others(spans: InMemorySpanExporter) -> None:
    traces = []
    for number in range(3):
        with telemetry.span(f"request {number}", SpanKind.SERVER):
            traces.append(telemetry.here())
    with telemetry.gathering("write", ["", *traces]):
        pass
    found = by_name(spans)
    assert is_child(found["write"], found["request 0"])
    linked = [link.context.span_id for link in found["write"].links]
    assert linked == [found[f"request {number}"].context.span_id for number in (1, 2)]


def test_without_a_trace_nothing_is_begun(spans: InMemorySpanExporter) -> None:
    with telemetry.following("deliver", SpanKind.CONSUMER, {"rev": "1"}), telemetry.gathering("write", ["", ""]):
        assert telemetry.here() == ""
    assert not spans.get_finished_spans()


def test_a_line_of_the_log_names_its_trace(spans: InMemorySpanExporter) -> None:
    with telemetry.span("request", SpanKind.SERVER, {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}):
        assert telemetry.add_trace_id(None, "info", {"event": "served"}) == {"event": "served", "trace_id": "1" * 32}
    assert telemetry.add_trace_id(None, "info", {"event": "idle"}) == {"event": "idle"}


def test_the_ratio_is_of_those_whose_caller_did_not_decide(
    settings: UserSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    providers: list[TracerProvider] = []
    monkeypatch.setattr(trace, "set_tracer_provider", providers.append)
    monkeypatch.setattr(telemetry, "_tracing", False)
    changed = {"otlp_endpoint": "http://127.0.0.1:1", "otlp_ratio": 0.0}
    telemetry.start(msgspec.structs.replace(settings, **changed), "test", None)
    monkeypatch.setattr(telemetry, "_tracer", providers[0].get_tracer("test"))
    for flag, recorded in (("01", True), ("00", False)):
        carrier = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-{flag}"}
        parent = propagate.extract(carrier)
        assert providers[0].get_tracer("test").start_span("called", parent).is_recording() is recorded
    with telemetry.span("request", SpanKind.SERVER, {}) as span:
        assert not span.is_recording()
    providers[0].shutdown()


def test_with_tracing_off_nothing_is_kept_and_nothing_is_sent() -> None:
    with telemetry.span("request", SpanKind.SERVER, {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}) as span:
        assert (telemetry.here(), telemetry.trace_headers(), span.is_recording()) == ("", {}, False)
