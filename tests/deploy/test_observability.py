"""The files of deploy/observability: complete, and consistent with the code, the documents and each other.

tests/e2e/test_journeys.py checks that what they use is served.
"""

import re
from typing import Any

import pytest

from deploy.local.services import SERVICES
from gateway.app import ENDPOINTS
from tests.deploy import observability
from tests.deploy.dockerfile import read_dockerfile
from tests.deploy.observability import ROOT, RULE_FILES, alerts, dashboards, expressions, load_yaml, panels, rules
from tests.deploy.promql import Matcher, Query, read

OPERATING = (ROOT / "docs/operating.md").read_text()


def test_every_process_is_scraped_where_it_serves_metrics() -> None:
    found = {}
    for job in load_yaml("prometheus.yml")["scrape_configs"]:
        if "static_configs" in job:
            continue  # the servers' exporters
        (discovery,) = job["dns_sd_configs"]
        assert discovery["names"] == [job["job_name"]]
        found[job["job_name"]] = discovery["port"]
    gateway = read_dockerfile()["gateway"].environment["HITOK_GATEWAY_METRICS_PORT"]
    services = {service.name: int(service.ports[-1].default) for service in SERVICES if service.health == "grpc"}
    assert found == services | {"gateway": int(gateway)}


def test_the_rules_are_found_and_named_once() -> None:
    assert load_yaml("prometheus.yml")["rule_files"] == list(RULE_FILES)
    names = [rule.get("alert") or rule["record"] for rule in rules()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: str(alert["alert"]))
def test_an_alert_says_how_bad_it_is_and_has_its_line_in_the_runbook(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("page", "ticket")
    assert alert["annotations"]["summary"]
    assert alert["annotations"]["runbook"] == f"docs/operating.md#{alert['alert'].lower()}"
    lines = re.findall(rf"^#### {alert['alert']}\n\n(.+)$", OPERATING, re.MULTILINE)
    assert len(lines) == 1
    assert len(lines[0]) > 40


def test_the_runbook_has_no_line_for_an_alert_that_is_gone() -> None:
    chapter = OPERATING.partition("\n## Alerts")[2].partition("\n## ")[0]
    assert re.findall(r"^#### (\w+)$", chapter, re.MULTILINE) == [alert["alert"] for alert in alerts()]


def test_a_summary_uses_labels_that_its_expression_leaves() -> None:
    for alert in alerts():
        used = set(re.findall(r"\$labels\.(\w+)", alert["annotations"]["summary"]))
        query = read(alert["expr"])
        assert not query.groups or used <= query.groups, alert["alert"]


@pytest.mark.parametrize("path", dashboards(), ids=lambda path: path.stem)
def test_a_dashboard_shows_panels_of_the_data_source_that_is_there(path: Any) -> None:
    (source,) = load_yaml("grafana/provisioning/datasources/prometheus.yml")["datasources"]
    shown = panels(path)
    assert len(shown) > 8
    assert len({panel["id"] for panel in shown}) == len(shown)
    for panel in shown:
        assert panel["targets"]
        for part in (panel, *panel["targets"]):
            assert part["datasource"] == {"type": source["type"], "uid": source["uid"]}, panel["title"]
    places = [tuple(panel["gridPos"][side] for side in "xywh") for panel in shown]
    assert not [(a, b) for a in places for b in places if a < b and overlap(a, b)]


def overlap(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


def test_dashboards_are_told_apart_by_uid_and_by_file() -> None:
    (provider,) = load_yaml("grafana/provisioning/dashboards/hitok.yml")["providers"]
    assert provider["type"] == "file"
    uids = {load_yaml(path)["uid"]: path.stem for path in dashboards()}
    assert uids == {path.stem: path.stem for path in dashboards()}


def test_a_legend_uses_labels_that_its_expression_leaves() -> None:
    for path in dashboards():
        for panel in panels(path):
            for target in panel["targets"]:
                used = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
                query = read(target["expr"])
                assert not query.groups or used <= query.groups, panel["title"]


def test_routes_that_expressions_name_exist() -> None:
    routes = {path for endpoint in ENDPOINTS for path in endpoint.paths} | {"/media/{file}"}
    named = set(re.findall(r'route(?:=|=~|!~)"([^"]+)"', " ".join(expression for _, expression in expressions())))
    assert len(named) == 4
    for pattern in named:
        for part in pattern.split("|"):
            assert any(re.fullmatch(part, route) or part == route for route in routes), part


SCRAPE = """jobs_total{outcome="failed"} 0
hitok_http_seconds_count{status="200"} 1
hitok_socket_request_seconds_count{outcome="ack"} 1
"""
SERVED = [
    ('jobs_total{outcome="failed"}', True),
    ('jobs_total{outcome=~"failed|faild"}', False),
    ('jobs_total{outcome="faild"}', False),
    ('jobs_total{outcom="failed"}', False),
    ("job_total", False),
    ("sum by (proflie) (jobs_total)", False),
    ('hitok_http_seconds_count{status=~"5.."}', True),
    ('hitok_http_seconds_count{status=~"6.."}', False),
    ('hitok_socket_request_seconds_count{outcome=~"internal|unavailable"}', True),
    ('hitok_socket_request_seconds_count{outcome=~"internal|unavailble"}', False),
    ('up{job=~"chat|media"} == 0', True),
    ('up{job=~"chat|medai"} == 0', False),
]


@pytest.mark.parametrize(("expression", "is_served"), SERVED)
def test_what_no_scrape_serves_is_found(expression: str, is_served: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observability, "expressions", lambda: [("here", expression)])
    assert bool(observability.not_served(SCRAPE)) is not is_served


def test_the_collector_gives_on_what_it_takes() -> None:
    collector = load_yaml("otel-collector.yaml")
    pipeline = collector["service"]["pipelines"]["traces"]
    for kind in ("receivers", "processors", "exporters"):
        assert set(pipeline[kind]) == set(collector[kind])


CASES = [
    ("up == 0", [("up", [])], set()),
    (
        'sum by (job) (rate(a_total{b="c{d}", e=~"f|g"}[5m])) > 0.1',
        [("a_total", [Matcher("b", "=", "c{d}"), Matcher("e", "=~", "f|g")])],
        {"job"},
    ),
    ("a:b:c / on (x) group_left (y) sum(d) by (z)", [("a:b:c", []), ("d", [])], {"x", "y", "z"}),
    ("sum(rate(a_sum[$__rate_interval])) / 2e3", [("a_sum", [])], set()),
    ("a offset 5m and absent(b == 1) or min_over_time(c[1m])", [("a", []), ("b", []), ("c", [])], set()),
]


@pytest.mark.parametrize(("expression", "selectors", "groups"), CASES)
def test_expressions_are_read(expression: str, selectors: list[tuple[str, list[Matcher]]], groups: set[str]) -> None:
    assert read(expression) == Query(selectors, groups)


@pytest.mark.parametrize(
    ("operator", "value", "taken"),
    [("=", "5..", ["5.."]), ("!=", "503", ["5..", "200"]), ("=~", "5..", ["5..", "503"]), ("!~", "5..|x", ["200"])],
)
def test_matchers_take_what_they_name(operator: str, value: str, taken: list[str]) -> None:
    assert [each for each in ("5..", "503", "200") if Matcher("status", operator, value).takes(each)] == taken


@pytest.mark.parametrize("expression", ["sum(a", "a)", "sum(a]", "1 + 1"])
def test_what_is_no_expression_is_refused(expression: str) -> None:
    with pytest.raises(ValueError):
        read(expression)
