"""deploy/kubernetes/servers: PostgreSQL, NATS and Valkey of which any one may die."""

import re
from typing import Any

import msgspec
import pytest
import yaml

from gateway.config import GatewaySettings
from services.kit.config import ServiceSettings, load
from services.kit.sql.connection import MAX_PREPARED
from tests.deploy.dockerfile import ROOT
from tests.deploy.schemas.kubernetes import find_schema_faults

FOLDER = ROOT / "deploy/kubernetes"
POOL = next(field.default for field in msgspec.structs.fields(ServiceSettings) if field.name == "postgres_pool")
LOCKS = 4  # connections on which a replica of media may hold a lock (docs/scaling.md)
OTHER_CONNECTIONS = 40  # jobs that migrate, the tools, the exporter's, the operator's own, reserved ones

Resource = dict[str, Any]


def read(path: str) -> list[Resource]:
    return list(yaml.safe_load_all((FOLDER / path).read_text()))


FILES = [name for name in read("servers/kustomization.yaml")[0]["resources"] if name.endswith(".yaml")]
SERVERS = [resource for name in FILES for resource in read(f"servers/{name}")]
SETS = [resource for resource in SERVERS if resource["kind"] == "StatefulSet"]


def find(kind: str) -> Resource:
    (found,) = [resource for resource in SERVERS if resource["kind"] == kind]
    return found


def test_they_are_valid() -> None:
    """By the schemas of Kubernetes and of CloudNativePG."""
    assert {"Cluster", "Database", "Pooler", "StatefulSet"} <= {resource["kind"] for resource in SERVERS}
    assert find_schema_faults(SERVERS) == []


def most_replicas() -> dict[str, int]:
    """Of each service with a database, while a rollout starts one more than its autoscaler may."""
    scalers = {
        resource["metadata"]["name"]: resource["spec"]["maxReplicas"] for resource in read("production/scaling.yaml")
    }
    return {name: most + 1 for name, most in scalers.items() if name != "gateway"}


def test_the_pooler_takes_the_connections_of_all_replicas() -> None:
    spec = find("Pooler")["spec"]
    clients = sum(most_replicas().values()) * POOL
    assert int(spec["pgbouncer"]["parameters"]["max_client_conn"]) >= clients, "one instance may be alone"
    assert spec["instances"] == 2
    assert spec["deploymentStrategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert spec["pgbouncer"]["poolMode"] == "transaction"
    assert int(spec["pgbouncer"]["parameters"]["max_prepared_statements"]) >= MAX_PREPARED


def test_postgres_takes_the_connections_of_the_pooler_and_those_past_it() -> None:
    cluster, pooler, replicas = find("Cluster"), find("Pooler")["spec"], most_replicas()
    size = int(pooler["pgbouncer"]["parameters"]["default_pool_size"])
    pooled = pooler["instances"] * len(replicas) * (size + 1)  # and one that looks passwords up
    direct = sum(replicas.values()) + replicas["media"] * LOCKS  # each replica listens
    most = int(cluster["spec"]["postgresql"]["parameters"]["max_connections"])
    assert most >= pooled + direct + OTHER_CONNECTIONS
    assert cluster["spec"]["postgresql"]["synchronous"] == {"method": "any", "number": 1, "dataDurability": "required"}
    assert pooler["cluster"] == {"name": cluster["metadata"]["name"]}
    unpooled = sum(replicas.values()) * (POOL + 1) + OTHER_CONNECTIONS
    (said,) = re.findall(r"Without the pooler: (\d+)", (FOLDER / "servers/postgres.yaml").read_text())
    assert int(said) >= unpooled


def test_each_service_has_a_role_and_a_database_of_its_own() -> None:
    roles = {role["name"] for role in find("Cluster")["spec"]["managed"]["roles"]} - {"hitok_monitor"}
    databases = {resource["spec"]["name"]: resource["spec"] for resource in SERVERS if resource["kind"] == "Database"}
    assert roles == set(databases) == {f"hitok_{name}" for name in ("user", "social", "media", "chat")}
    assert all(spec["owner"] == name and spec["cluster"] == {"name": "postgres"} for name, spec in databases.items())


@pytest.mark.parametrize("resource", SETS, ids=lambda resource: resource["metadata"]["name"])
def test_a_server_may_do_little_and_leaves_its_node_to_itself(resource: Resource) -> None:
    pod = resource["spec"]["template"]["spec"]
    container = pod["containers"][0]  # the next is its exporter
    assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]["requests"]) == {"cpu", "memory", "ephemeral-storage"}
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)
    assert pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    (spread,) = pod["topologySpreadConstraints"]
    assert spread["topologyKey"] == "topology.kubernetes.io/zone"
    assert spread["labelSelector"]["matchLabels"].items() <= resource["spec"]["template"]["metadata"]["labels"].items()
    assert "PASSWORD" in {variable["name"] for variable in container["env"] if "valueFrom" in variable}
    name = resource["metadata"]["name"]
    (budget,) = [r for r in SERVERS if r["kind"] == "PodDisruptionBudget" and r["metadata"]["name"] == name]
    assert budget["spec"]["maxUnavailable"] == 1


def test_the_urls_that_the_guide_names_are_taken() -> None:
    guide = (ROOT / "docs/operating.md").read_text()
    nats, redis = (
        re.search(rf"{key}=[\"']?([^\s\"'\\]+)", guide.partition("kubernetes/servers")[2])
        for key in ("nats-url", "redis-url")
    )
    assert nats and redis
    settings = load(
        GatewaySettings,
        "gateway",
        {
            "HITOK_NATS_URL": nats[1],
            "HITOK_REDIS_URL": redis[1],
            "HITOK_JWT_SECRET": "0123456789abcdef" * 4,
            "HITOK_INTERNAL_SECRET": "fedcba9876543210" * 4,
        },
    )
    assert len(settings.nats_url.split(",")) == 3
    assert settings.redis_url.startswith("redis+sentinel://")
