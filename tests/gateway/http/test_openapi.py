"""The OpenAPI document: valid, complete, and true."""

import asyncio
import copy
import json
from collections.abc import Iterator
from types import NoneType
from typing import Any

import jsonschema_rs
import msgspec
import pytest
import schemathesis
from litestar.routes import HTTPRoute

from gateway.app import ENDPOINTS, build_app
from gateway.docs.texts import GROUPS
from gateway.http.endpoint import Endpoint
from gateway.http.envelopes import CHAT_SOCIAL
from tests.gateway.fuzz import probe
from tests.gateway.people import by_email
from tests.gateway.routes import ROUTES, Route, every_route
from tests.support.gateway import RunningGateway, gateway_settings, serving_gateway
from tests.support.servers import Servers
from tests.support.user import Running

NO_API = {
    "/health/live",
    "/health/ready",
    "/metrics",
    "/api/user/export/download",
    "/openapi.json",
    "/openapi.zh.json",
    "/asyncapi.yaml",
    "/docs",
    "/docs/{name}",
    "/api/file/tus",  # the tus protocol describes itself
    "/api/file/tus/{upload_id}",
    "/media/{file}",
}


@pytest.fixture(scope="module")
async def document(gateway: RunningGateway) -> dict[str, Any]:
    response = await gateway.http.get("/openapi.json")
    assert response.headers["content-type"].startswith("application/json")
    found: dict[str, Any] = response.json()
    return found


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(copy.deepcopy(document)).validate()


def test_an_invalid_one_would_be_noticed(document: dict[str, Any]) -> None:
    broken = copy.deepcopy(document)
    del broken["paths"]["/api/login/login"]["post"]["responses"]
    broken["info"].pop("title")
    with pytest.raises(jsonschema_rs.ValidationError):
        schemathesis.openapi.from_dict(broken).validate()


def test_every_schema_is_a_json_schema(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema | {"$schema": "https://json-schema.org/draft/2020-12/schema"})


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in find(document, "$ref"):
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def find(place: Any, key: str) -> Iterator[str]:
    if isinstance(place, dict):
        if key in place:
            yield place[key]
        for value in place.values():
            yield from find(value, key)
    elif isinstance(place, list):
        for value in place:
            yield from find(value, key)


def test_every_route_of_the_app_is_in_the_document_and_no_other(
    gateway: RunningGateway, document: dict[str, Any]
) -> None:
    app = build_app(gateway.container)
    served = {
        (route.path_format, method)
        for route in app.routes
        if isinstance(route, HTTPRoute) and route.path_format not in NO_API
        for method in route.methods - {"OPTIONS", "HEAD"}
    }
    documented = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    assert served == documented
    assert {path for endpoint in ENDPOINTS for path in endpoint.paths} == {path for path, _ in served}


def test_operation_ids_are_unique_and_everything_has_a_summary(document: dict[str, Any]) -> None:
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["summary"] for operation in operations)
    assert all("Rate limit: " in operation["description"] for operation in operations)


@every_route
def test_a_route_is_documented_with_its_parameters_and_lock(document: dict[str, Any], route: Route) -> None:
    operation = document["paths"][route.path][route.method.lower()]

    assert operation["security"] == ([{"token": []}] if route.auth else [])
    required = {field.name for field in route.fields if field.required}
    if route.method == "GET":
        parameters = {parameter["name"]: parameter for parameter in operation.get("parameters", [])}
        assert set(parameters) == {field.name for field in route.fields}
        assert {name for name in parameters if parameters[name]["required"]} == required
    elif route.fields:
        schema = document
        sent_as = "multipart/form-data" if route.path == "/api/file/upload" else "application/json"
        assert list(operation["requestBody"]["content"]) == [sent_as]
        reference = operation["requestBody"]["content"][sent_as]["schema"]["$ref"]
        for part in reference.removeprefix("#/").split("/"):
            schema = schema[part]
        assert set(schema["properties"]) >= {field.name for field in route.fields}
        assert set(schema.get("required", [])) == required


@pytest.mark.parametrize("declared", [handler.opt["endpoint"] for handler in ENDPOINTS], ids=lambda e: e.paths[0])
def test_examples_are_what_a_route_takes_and_gives(document: dict[str, Any], declared: Endpoint[Any]) -> None:
    operation = document["paths"][declared.paths[0]][declared.method.lower()]
    given = {parameter["name"]: parameter["example"] for parameter in operation.get("parameters", [])}
    for content in operation.get("requestBody", {}).get("content", {}).values():
        given |= content["example"]
    msgspec.convert(given, declared.params, strict=False)
    answer = operation["responses"]["200"]["content"]["application/json"]["example"]
    data = answer if declared.family is CHAT_SOCIAL else answer["data"]
    if declared.result is not NoneType:
        msgspec.json.decode(json.dumps(data), type=declared.result)


CODED = [
    f"/api/{path}" for path in ("login/register", "login/reset-password", "login/undo-email-change", "user/bind-email")
]
ENDING = ("/api/user/change-password", "/api/user/delete-account", "/api/login/logout")  # of the session that tries all


async def test_each_example_is_taken_as_it_stands(
    gateway: RunningGateway, user: Running, document: dict[str, Any]
) -> None:
    """What it names may not exist here, and two services do not, but its form is right."""
    ann = await by_email(gateway.http, user)
    refused = []
    for path in sorted(document["paths"], key=lambda path: path in ENDING):
        for method, operation in document["paths"][path].items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            query = {each["name"]: each["example"] for each in operation.get("parameters", [])}
            options = {"params": query} if query else {"json": body["example"]} if body else {}
            response = await ann.call(method.upper(), path, **options)
            reason = response.headers.get("x-error", "")
            if response.status_code == 400:
                refused.append((path, reason))
    unknown = [(path, "CODE_INVALID code") for path in CODED]  # nobody knows a code beforehand
    unconfigured = [("/api/login/send-phone-code", "PHONE_INVALID phone")]  # no SMS here
    assert sorted(refused) == sorted(unknown + unconfigured)


async def test_ids_are_documented_as_what_is_sent_and_taken(document: dict[str, Any]) -> None:
    schemas = json.dumps(document["paths"]["/api/user/get-profile"]["get"]["parameters"])
    assert '["string", "integer"]' in schemas


async def test_no_generated_request_is_answered_by_500_or_by_what_is_not_documented(
    servers: Servers, user: Running, document: dict[str, Any]
) -> None:
    settings = gateway_settings(servers, HITOK_USER_TARGET=user.target)
    async with serving_gateway(settings) as (_, url):
        # Each route has its own user: one of them ends its session.
        tokens = {route.path: (await by_email(None, user)).token for route in ROUTES}  # type: ignore[arg-type]
        sent = await asyncio.to_thread(probe, document, url, tokens, list(tokens), 12)
    assert sent > 12 * len(ROUTES)


def test_the_groups_of_the_api_page_name_modules_that_are_there() -> None:
    modules = {handler.opt["endpoint"].function.__module__.removeprefix("gateway.api.") for handler in ENDPOINTS}
    assert GROUPS.keys() == modules
