"""The OpenAPI document, made from the declarations of the endpoints.

Litestar's own generator cannot say that a GET takes its parameters from the query or from a body, nor that one result
has three envelopes.
"""

import re
from collections.abc import Iterable, Mapping
from types import NoneType
from typing import Any, NamedTuple

import msgspec
from litestar.handlers import HTTPRouteHandler

from gateway.http.endpoint import Endpoint
from gateway.http.envelopes import CHAT, SHORT_VIDEO
from gateway.http.openapi_examples import example_of, request_of
from services.kit.ids import MAX_ID

INFO: dict[str, Any] = {
    "title": "hitok",
    "version": "1",
    "description": "Both families share one set of accounts. Deprecated paths are other spellings of the first path.",
    "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
}
# The name that msgspec gives a struct if another has the same: the module's name is put before it.
SHARED_NAME = re.compile(rb"gateway\.api\.\w+\.(\w+)\.(\w+)")
SECURITY = {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}

Schema = dict[str, Any]


class Texts(NamedTuple):
    """The texts of a document in one language. `groups`: of routes, by their module below gateway.api; `summaries`: by
    method and first path. Without them the routes are grouped by family and say what their code says.
    """

    intro: str = INFO["description"]
    groups: Mapping[str, str] = {}
    summaries: Mapping[str, str] = {}


def document(handlers: Iterable[HTTPRouteHandler], texts: Texts = Texts()) -> bytes:
    endpoints: list[Endpoint[Any]] = [handler.opt["endpoint"] for handler in handlers]
    kinds = [kind for endpoint in endpoints for kind in (endpoint.params, endpoint.result)]
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    _spell_ids(components)
    schema_of = dict(zip(kinds, schemas, strict=True))
    paths: dict[str, Schema] = {}
    for endpoint in endpoints:
        params = components[schema_of[endpoint.params]["$ref"].rpartition("/")[2]]
        for path in endpoint.paths:
            operation = _operation(endpoint, path, texts) | _input(endpoint, params, schema_of[endpoint.params])
            operation["responses"] = _responses(endpoint, schema_of[endpoint.result])
            paths.setdefault(path, {})[endpoint.method.lower()] = operation
    for name, schema in components.items():
        schema["title"] = name
    parts = {"schemas": components, "securitySchemes": SECURITY}
    text = msgspec.json.encode(
        {"openapi": "3.1.0", "info": INFO | {"description": texts.intro}, "paths": paths, "components": parts}
    )
    return SHARED_NAME.sub(lambda match: match[1].title() + match[2], text)


def _spell_ids(schema: Any) -> None:
    """Makes ids strings: a JavaScript number cannot hold them. msgspec overwrites a `type` that is set on the field."""
    if isinstance(schema, list):
        for part in schema:
            _spell_ids(part)
    elif isinstance(schema, dict):
        if schema.get("maximum") == MAX_ID:
            schema |= {"type": ["string", "integer"], "pattern": "^[0-9]*$"}
        for part in schema.values():
            _spell_ids(part)


def _operation(endpoint: Endpoint[Any], path: str, texts: Texts) -> Schema:
    doc = (endpoint.function.__doc__ or "").strip()
    doc = texts.summaries.get(f"{endpoint.method} {endpoint.paths[0]}", doc)
    module = endpoint.function.__module__.removeprefix("gateway.api.")
    group = texts.groups[module] if texts.groups else endpoint.family.name
    return {
        "operationId": endpoint.method.lower() + path.replace("/", "_").replace("-", "_"),
        "tags": [group],
        "summary": doc.partition("\n")[0],
        "description": f"{doc}\n\nRate limit: {endpoint.limit.text}.",
        "deprecated": path != endpoint.paths[0],
        "security": [{"token": []}] if endpoint.auth else [],
    }


def _input(endpoint: Endpoint[Any], params: Schema, reference: Schema) -> Schema:
    """A GET is described with its query; that it also takes a body is only for clients of the old document."""
    fields, required = params.get("properties", {}), params.get("required", [])
    if not fields:
        return {}
    if endpoint.method != "GET":
        content = {"schema": reference, "example": request_of(endpoint.params)}
        return {"requestBody": {"required": True, "content": {endpoint.content_type: content}}}
    examples = example_of(endpoint.params)
    return {
        "parameters": [
            {"name": name, "in": "query", "required": name in required, "schema": schema, "example": examples[name]}
            for name, schema in fields.items()
        ]
    }


def _responses(endpoint: Endpoint[Any], result: Schema) -> Schema:
    family = endpoint.family
    integer, text = {"type": "integer"}, {"type": "string"}
    data = {"type": "object"} if result.get("type") == "null" else result
    success, failure = data, _object(code=integer, msg=text, data={"type": "null"})
    if family is SHORT_VIDEO:
        success = _object(code={"const": 20000}, message={"const": "成功"}, data=data)
        failure = _object(code=integer, message=text, data={"type": "object"})
    elif family is CHAT:
        success = _object(code={"const": 200}, msg={"const": ""}, data=data)
    answer = _content("The result", success)
    sample = None if endpoint.result is NoneType else example_of(endpoint.result)
    answer["content"]["application/json"]["example"] = msgspec.Raw(family.success(sample))
    return {"200": answer, "default": _content("An error, with its HTTP status", failure)}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _content(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
