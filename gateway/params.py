"""A request's parameters as a struct, from query string or body, with the documented code for each mistake."""

from typing import Annotated, Any, TypeVar, get_origin
from urllib.parse import parse_qsl

import msgspec
from litestar import Request
from msgspec import Meta

from gateway.errors import (
    ContentTypeInvalid,
    ParameterEmpty,
    ParameterInvalid,
    ParameterMissing,
    ParameterMistyped,
)
from services.kit.ids import MAX_ID

MAX_FIELDS = 100  # in a query string

Id = Annotated[
    int,
    Meta(ge=1, le=MAX_ID, extra_json_schema={"type": ["string", "integer"], "description": "a number is accepted too"}),
]
Text = Annotated[str, Meta(min_length=1)]
Limit = Annotated[int, Meta(ge=1, le=100)]

T = TypeVar("T")


async def read_params(request: Request[Any, Any, Any], kind: type[T]) -> T:
    """Raises ParameterInvalid (also for a malformed body), -Empty, -Mistyped, -Missing, ContentTypeInvalid."""
    values: dict[str, Any] = {}
    if request.method == "GET":
        values = _read_query(request.scope["query_string"].decode("latin-1"), kind)
    body = await request.body()
    if body:
        values = _read_body(body, request.headers.get("content-type", "")) | values
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _explain(str(error)) from None


def _read_query(query: str, kind: Any) -> dict[str, Any]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise ParameterInvalid from None
    if any("\0" in value for _, value in pairs):
        raise ParameterInvalid
    values: dict[str, Any] = dict(pairs)
    for field in msgspec.structs.fields(kind):
        if field.encode_name in values and get_origin(field.type) is list:
            values[field.encode_name] = [value for key, value in pairs if key == field.encode_name]
    return values


def _read_body(body: bytes, content_type: str) -> dict[str, Any]:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type and not media_type.endswith(("/json", "+json")):
        raise ContentTypeInvalid
    try:
        values = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ParameterInvalid from None
    # Neither PostgreSQL's text nor its jsonb can hold a NUL.
    if not isinstance(values, dict) or (b"\\u0000" in body and _has_nul(values)):
        raise ParameterInvalid
    return values


def _has_nul(value: Any) -> bool:
    match value:
        case str():
            return "\0" in value
        case dict():
            return any(_has_nul(part) for pair in value.items() for part in pair)
        case list():
            return any(map(_has_nul, value))
    return False


def _explain(message: str) -> Exception:
    """msgspec tells what is wrong only in words."""
    if message.startswith("Object missing required field"):
        return ParameterMissing(message)
    if "of length >= 1" in message:
        return ParameterEmpty(message)
    if ", got " in message:
        return ParameterMistyped(message)
    return ParameterInvalid(message)
