"""Makes a Postman collection (v2.1) of an OpenAPI document; Bruno, Insomnia and Hoppscotch import it, too."""

import json
from collections.abc import Mapping
from typing import Any

SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
# The variables of the collection; a login returns the token.
VARIABLES = {"base": "http://127.0.0.1:8888", "token": ""}


def collection_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """One folder per family, in it one request per route with the document's example."""
    folders: dict[str, list[dict[str, Any]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            folders.setdefault(operation["tags"][0], []).append(_request(method.upper(), path, operation))
    return {
        "info": {"name": document["info"]["title"], "schema": SCHEMA},
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}]},
        "variable": [{"key": key, "value": value} for key, value in VARIABLES.items()],
        "item": [{"name": name, "item": items} for name, items in folders.items()],
    }


def _request(method: str, path: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    query = [
        {"key": parameter["name"], "value": _text(parameter["example"]), "disabled": not parameter["required"]}
        for parameter in operation.get("parameters", [])
    ]
    request: dict[str, Any] = {
        "method": method,
        "description": operation["description"],
        "url": {"raw": "{{base}}" + path, "host": ["{{base}}"], "path": path.strip("/").split("/"), "query": query},
    }
    if not operation["security"]:
        request["auth"] = {"type": "noauth"}
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        request["body"] = _body(kind, content["example"])
    return {"name": path, "request": request}


def _body(kind: str, example: Mapping[str, Any]) -> dict[str, Any]:
    if kind == "multipart/form-data":
        return {"mode": "formdata", "formdata": [{"key": key, "type": "file"} for key in example]}
    raw = json.dumps(example, ensure_ascii=False, indent=2)
    return {"mode": "raw", "raw": raw, "options": {"raw": {"language": "json"}}}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
