"""Checks the frames that a client gets against docs/asyncapi.yaml."""

from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

DOCUMENT = yaml.safe_load((Path(__file__).parents[2] / "docs/asyncapi.yaml").read_text())


def check(frame: dict[str, Any]) -> None:
    """Raises jsonschema_rs.ValidationError."""
    _validator(frame["type"]).validate(frame)


@cache
def _validator(type: str) -> jsonschema_rs.Validator:
    names = [message["$ref"].rpartition("/")[2] for message in DOCUMENT["operations"]["server"]["messages"]]
    payloads = [DOCUMENT["components"]["messages"][name]["payload"] for name in names]
    of_type = [payload for payload in payloads if payload["properties"]["type"]["const"] == type]
    return jsonschema_rs.validator_for({"anyOf": of_type, "components": DOCUMENT["components"]})
