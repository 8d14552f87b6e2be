"""deploy/kubernetes/servers is scraped for what deploy/observability/alerts-servers.yml asks."""

import re

import pytest

from tests.deploy import promql
from tests.deploy.compose import read_compose
from tests.deploy.observability import load_yaml, rules
from tests.deploy.test_kubernetes_servers import SERVERS, Resource, find, read

JOBS = {"pg": "postgres", "jetstream": "nats", "redis": "valkey"}  # by the first word of their metrics' names
OF_THE_CLUSTER = {"node", "kubelet", "probe", "certmanager"}
SCRAPER = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
MONITORS = {each["metadata"]["name"]: each["spec"] for each in read("../observability/podmonitor-servers.yaml")}
POSTGRES = {"cnpg.io/cluster": "postgres", "cnpg.io/podRole": "instance"}  # labels that the operator gives to its pods
EXPORTER = "app.kubernetes.io/name", "postgres-exporter"


def exporters() -> dict[str, tuple[Resource, dict[str, str]]]:
    """By the server they are for: the container, and the labels of its pod."""
    templates = [each["spec"]["template"] for each in SERVERS if each["kind"] in ("StatefulSet", "Deployment")]
    return {
        template["metadata"]["labels"]["app.kubernetes.io/name"].removesuffix("-exporter"): (
            container,
            template["metadata"]["labels"],
        )
        for template in templates
        for container in template["spec"]["containers"]
        if container["name"] == "exporter"
    }


def policy(name: str) -> Resource:
    (found,) = [each for each in SERVERS if each["kind"] == "NetworkPolicy" and each["metadata"]["name"] == name]
    return dict(found["spec"])


def selects(selector: Resource, labels: dict[str, str]) -> bool:
    terms = selector.get("matchExpressions", ())
    assert all(term["operator"] == "In" for term in terms)
    equal = selector.get("matchLabels", {}).items() <= labels.items()
    return equal and all(labels.get(term["key"]) in term["values"] for term in terms)


def variables_of(container: Resource) -> dict[str, Resource | str]:
    return {each["name"]: each.get("value") or each["valueFrom"]["secretKeyRef"] for each in container.get("env", ())}


def test_each_metric_of_the_alerts_has_an_exporter() -> None:
    expressions = [rule["expr"] for rule in rules("alerts-servers.yml")]
    words = {metric.split("_")[0] for each in expressions for metric, _ in promql.read(each).selectors}
    assert words - OF_THE_CLUSTER == set(JOBS)
    assert set(exporters()) == set(JOBS.values())
    assert "podmonitor-servers.yaml" in load_yaml("kustomization.yaml")["resources"]


@pytest.mark.parametrize("server", JOBS.values())
def test_an_exporter_is_that_of_compose_and_may_do_little(server: str) -> None:
    (container, _), composed = exporters()[server], read_compose()["services"][f"{server}-exporter"]
    assert container["image"] == composed["image"]
    assert container.get("args", [])[:-1] == composed.get("command", [])[:-1]  # the last is the server's address
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["requests"].keys() == {"cpu", "memory", "ephemeral-storage"}
    assert container["resources"]["limits"].keys() == {"memory", "ephemeral-storage"}
    assert "livenessProbe" in container
    passwords = [value for name, value in variables_of(container).items() if re.search("PASS", name)]
    assert all(isinstance(value, dict) for value in passwords), "from a secret"
    assert "PASS" not in str(container.get("args"))


@pytest.mark.parametrize("server", JOBS.values())
def test_the_scraper_is_let_in_where_the_exporter_listens(server: str) -> None:
    container, labels = exporters()[server]
    (port,) = [each["containerPort"] for each in container["ports"] if each["name"] == "metrics"]
    (rule,) = policy("metrics")["ingress"]
    assert selects(policy("metrics")["podSelector"], labels) and rule["from"] == SCRAPER
    assert port in {each["port"] for each in rule["ports"]}
    (target,) = read_scrape_target(server)
    assert target == f"{server}-exporter:{port}", "as compose"


def read_scrape_target(server: str) -> list[str]:
    (job,) = [each for each in load_yaml("prometheus.yml")["scrape_configs"] if each["job_name"] == server]
    return list(job["static_configs"][0]["targets"])


@pytest.mark.parametrize("server", ["nats", "valkey"])
def test_each_nats_and_valkey_is_scraped(server: str) -> None:
    monitor, (_, labels) = MONITORS["hitok-servers"], exporters()[server]
    assert selects(monitor["selector"], labels) and monitor["namespaceSelector"] == {"matchNames": ["hitok-servers"]}
    assert labels[monitor["jobLabel"]] == server
    assert [each["port"] for each in monitor["podMetricsEndpoints"]] == ["metrics"]


def test_each_instance_of_postgres_is_asked_for_through_the_exporter() -> None:
    """As the multi-target pattern goes: the pod is the target, the exporter the address."""
    monitor, (_, labels) = MONITORS["hitok-postgres"], exporters()["postgres"]
    (endpoint,) = monitor["podMetricsEndpoints"]
    written = {each["targetLabel"]: each for each in endpoint["relabelings"]}
    assert monitor["selector"] == {"matchLabels": POSTGRES} and endpoint["path"] == "/probe"
    assert written["__param_target"]["sourceLabels"] == ["__address__"]
    assert written["job"]["replacement"] == "postgres"
    assert list(written).index("__param_target") < list(written).index("__address__"), "it is read before it is changed"
    (service,) = [each for each in SERVERS if each["kind"] == "Service" and each["metadata"]["name"] == EXPORTER[1]]
    assert service["spec"]["selector"].items() <= labels.items()
    port = service["spec"]["ports"][0]["port"]
    assert written["__address__"]["replacement"] == f"{EXPORTER[1]}.hitok-servers:{port}"


def test_the_exporter_of_postgres_has_a_role_that_reads_and_reaches_nothing_else() -> None:
    (role,) = [each for each in find("Cluster")["spec"]["managed"]["roles"] if "inRoles" in each]
    assert role["inRoles"] == ["pg_monitor"]
    given = variables_of(exporters()["postgres"][0])
    secret = role["passwordSecret"]["name"]
    assert given["PGUSER"] == {"name": secret, "key": "username"}
    assert given["PGPASSWORD"] == {"name": secret, "key": "password"}
    outward = policy("postgres-exporter")
    assert selects(outward["podSelector"], dict([EXPORTER])) and outward["policyTypes"] == ["Egress"]
    ports = [{"protocol": "TCP", "port": 5432}]
    assert outward["egress"] == [{"to": [{"podSelector": {"matchLabels": POSTGRES}}], "ports": ports}]
