"""deploy/kubernetes/servers: PostgreSQL, NATS and Valkey of which any one may die."""

import re
from typing import Any

import pytest
import yaml

from gateway.config import GatewaySettings
from services.kit.config import load
from tests.deploy.dockerfile import ROOT

FOLDER = ROOT / "deploy/kubernetes"
OTHER_CONNECTIONS = 40  # jobs that migrate, the tools, the operator's own, reserved ones

Resource = dict[str, Any]


def read(path: str) -> list[Resource]:
    return list(yaml.safe_load_all((FOLDER / path).read_text()))


SERVERS = [resource for name in ("postgres", "nats", "valkey") for resource in read(f"servers/{name}.yaml")]
SETS = [resource for resource in SERVERS if resource["kind"] == "StatefulSet"]


def test_postgres_takes_the_connections_of_all_replicas_that_the_autoscalers_may_start() -> None:
    (cluster,) = [resource for resource in SERVERS if resource["kind"] == "Cluster"]
    scalers = {
        resource["metadata"]["name"]: resource["spec"]["maxReplicas"] for resource in read("production/scaling.yaml")
    }
    replicas = sum(most for name, most in scalers.items() if name != "gateway")
    needed = replicas * (10 + 1)  # HITOK_POSTGRES_POOL, and one that listens
    assert int(cluster["spec"]["postgresql"]["parameters"]["max_connections"]) >= needed + OTHER_CONNECTIONS
    assert cluster["spec"]["postgresql"]["synchronous"] == {"method": "any", "number": 1, "dataDurability": "required"}


def test_each_service_has_a_role_and_a_database_of_its_own() -> None:
    (cluster,) = [resource for resource in SERVERS if resource["kind"] == "Cluster"]
    roles = {role["name"] for role in cluster["spec"]["managed"]["roles"]}
    databases = {resource["spec"]["name"]: resource["spec"] for resource in SERVERS if resource["kind"] == "Database"}
    assert roles == set(databases) == {f"hitok_{name}" for name in ("user", "social", "media", "chat")}
    assert all(spec["owner"] == name and spec["cluster"] == {"name": "postgres"} for name, spec in databases.items())


@pytest.mark.parametrize("resource", SETS, ids=lambda resource: resource["metadata"]["name"])
def test_a_server_may_do_little_and_leaves_its_node_to_itself(resource: Resource) -> None:
    pod = resource["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]["requests"]) == {"cpu", "memory", "ephemeral-storage"}
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)
    assert pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert "PASSWORD" in {variable["name"] for variable in container["env"] if "valueFrom" in variable}
    name = resource["metadata"]["name"]
    (budget,) = [r for r in SERVERS if r["kind"] == "PodDisruptionBudget" and r["metadata"]["name"] == name]
    assert budget["spec"]["maxUnavailable"] == 1


def test_the_urls_that_the_guide_names_are_taken() -> None:
    guide = (ROOT / "docs/operating.md").read_text()
    nats, redis = (
        re.search(rf"{key}=[\"']?([^\s\"'\\]+)", guide.split("kubernetes/servers")[-1])
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
