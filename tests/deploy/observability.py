"""Reads the files of deploy/observability, and finds what they use that a scrape does not serve."""

from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, get_args

import yaml
from grpc import StatusCode
from prometheus_client.parser import text_string_to_metric_families

from gateway.ws.frames import Code
from tests.deploy.promql import Matcher, read

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "deploy/observability"
OF_PROMETHEUS = {"job", "instance"}  # the labels it gives to all it scrapes
# What else the label of a metric may be: failures that have not happened.
NOT_YET = {
    ("hitok_http_seconds", "status"): {str(status.value) for status in HTTPStatus},
    ("hitok_rpc_served_seconds", "status"): {code.name for code in StatusCode},
    ("hitok_rpc_called_seconds", "status"): {code.name for code in StatusCode},
    ("hitok_socket_request_seconds", "outcome"): set(get_args(Code)),
}


def load_yaml(path: str | Path) -> Any:
    return yaml.safe_load((FOLDER / path).read_text())


JOBS = {job["job_name"] for job in load_yaml("prometheus.yml")["scrape_configs"]}
RULE_FILES = ("alerts.yml", "alerts-servers.yml")  # on hitok's own metrics; on those of the servers' exporters


def rules(*files: str) -> list[dict[str, Any]]:
    groups = [group for file in files or RULE_FILES for group in load_yaml(file)["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def dashboards() -> list[Path]:
    return sorted((FOLDER / "grafana/dashboards").glob("*.json"))


def panels(path: Path) -> list[dict[str, Any]]:
    """Those that show something."""
    return [panel for panel in load_yaml(path)["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression, with its place."""
    for rule in rules(RULE_FILES[0]):
        yield f"alerts.yml: {rule.get('alert') or rule['record']}", rule["expr"]
    for path in dashboards():
        for panel in panels(path):
            yield from ((f"{path.name}: {panel['title']}", target["expr"]) for target in panel["targets"])


def not_served(scrape: str) -> list[str]:
    """The metrics, labels and label values that expressions use but the text of a scrape lacks."""
    served: dict[str, list[dict[str, str]]] = {rule["record"]: [{}] for rule in rules() if "record" in rule}
    served["up"] = [{}]
    for family in text_string_to_metric_families(scrape):
        for sample in family.samples:
            served.setdefault(sample.name, []).append(sample.labels)
    missing = []
    for place, expression in expressions():
        query = read(expression)
        known = set(OF_PROMETHEUS)
        for metric, matchers in query.selectors:
            samples = served.get(metric, [])
            chosen = [labels for labels in samples if all(_takes(each, metric, labels, samples) for each in matchers)]
            known.update(*chosen)
            if not chosen:
                missing.append(f"{place}: {metric} {matchers}")
        if query.groups - known:
            missing.append(f"{place}: {query.groups - known}")
    return missing


def _takes(matcher: Matcher, metric: str, labels: dict[str, str], samples: list[dict[str, str]]) -> bool:
    if matcher.label == "job":
        return _are_known(matcher, JOBS)
    if matcher.label in OF_PROMETHEUS:
        return True
    if matcher.label not in labels:
        return False
    if failures := NOT_YET.get((metric.rpartition("_")[0], matcher.label)):
        return _are_known(matcher, failures)
    if matcher.label == "outcome":  # all are served from the start
        return _are_known(matcher, {sample[matcher.label] for sample in samples})
    return matcher.takes(labels[matcher.label])


def _are_known(matcher: Matcher, values: set[str]) -> bool:
    """Whether each alternative takes one of the values."""
    parts = [Matcher(matcher.label, matcher.operator, each) for each in matcher.value.split("|")]
    return all(any(map(part.takes, values)) for part in parts)
