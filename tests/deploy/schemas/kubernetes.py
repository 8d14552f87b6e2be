"""Holds resources to kubernetes.json: the schemas of Kubernetes and of the operators."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec

FILE = Path(__file__).with_name("kubernetes.json")


@cache
def schemas() -> dict[str, Any]:
    read: dict[str, Any] = msgspec.json.decode(FILE.read_bytes())
    return read


@cache
def validator_of(kind: str) -> Any:
    return jsonschema_rs.validator_for(schemas()["kinds"][kind] | {"$defs": schemas()["$defs"]})


def find_schema_faults(resources: Iterable[dict[str, Any]]) -> list[str]:
    """An unknown kind is a KeyError."""
    faults = []
    for resource in resources:
        kind = f"{resource['apiVersion']}/{resource['kind']}"
        validator = validator_of(kind)
        faults += [f"{kind}: {error.instance_path}: {error.message}" for error in validator.iter_errors(resource)]
        spoilt = resource | {"spec": {**resource.get("spec", {}), "spek": 1}}
        assert not validator.is_valid(spoilt), "a schema that lets everything pass"
    return faults
