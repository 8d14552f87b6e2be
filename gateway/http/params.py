"""A request's parameters as a struct, from the query string or the body, and the documented error of each mistake."""

import re
from functools import cache
from typing import Annotated, Any, TypeVar, get_origin
from urllib.parse import parse_qsl

import msgspec
from litestar import Request
from msgspec import Meta, Struct
from msgspec.inspect import BoolType, IntType, ListType, Metadata, NoneType, StructType, UnionType

from gateway.http.client_info import header_of
from gateway.http.errors import (
    ContentTypeInvalid,
    ParameterEmpty,
    ParameterInvalid,
    ParameterMissing,
    ParameterMistyped,
)
from gateway.http.json_depth import check_depth
from services.kit.ids import MAX_ID

MAX_FIELDS = 100  # in a query string
MISSING_FIELD = re.compile(r"Object missing required field `(.+?)`")  # msgspec's words
PLACE = re.compile(r" - at `\$\.(.+)`$")

Id = Annotated[
    int,
    Meta(ge=1, le=MAX_ID, extra_json_schema={"type": ["string", "integer"], "description": "a number is accepted too"}),
]
OptionalId = Annotated[
    int,
    Meta(ge=0, le=MAX_ID, extra_json_schema={"type": ["string", "integer"], "description": '0 and "": none'}),
]
Text = Annotated[str, Meta(min_length=1)]
PageSize = Annotated[int, Meta(ge=1, le=100)]
LongPageSize = Annotated[int, Meta(ge=1, le=500)]
PageNumber = Annotated[int, Meta(ge=1, le=1_000_000, description="0 counts as 1")]
Seconds = Annotated[int, Meta(ge=0, le=253_402_300_799, description="Unix seconds; 0: now")]

T = TypeVar("T")


class Paging(Struct, kw_only=True):
    """A list by the documented pages, or by the cursor of its last page."""

    page: PageNumber = 1
    page_size: LongPageSize = 100
    cursor: str = ""

    @property
    def offset(self) -> int:
        return 0 if self.cursor else (self.page - 1) * self.page_size


async def read_params(request: Request[Any, Any, Any], kind: type[T]) -> T:
    """Raises ParameterInvalid (also for a malformed body), ParameterEmpty, ParameterMistyped, ParameterMissing and
    ContentTypeInvalid."""
    values: dict[str, Any] = {}
    body = b""
    if request.method != "GET":
        body = await request.body()
    else:
        if request.scope["query_string"]:
            values = _read_query(request.scope["query_string"].decode("latin-1"), kind)
        length = header_of(request.scope, b"content-length") or header_of(request.scope, b"transfer-encoding")
        if length not in (None, "0"):
            body = await request.body()
    if body:
        values = _read_body(body, header_of(request.scope, b"content-type") or "") | values
    if values:
        _drop_absent(values, kind)
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _explain(str(error)) from None


def _drop_absent(values: dict[str, Any], kind: Any) -> None:
    """Removes what means that nothing was entered: "" for a field that is not text, and page 0."""
    non_text, nested = _fields_of(kind)
    for name in non_text:
        if values.get(name) == "" or (name == "page" and values.get(name) in (0, "0")):
            del values[name]
    for name, part in nested.items():
        if isinstance(values.get(name), dict):
            _drop_absent(values[name], part)


@cache
def _fields_of(kind: Any) -> tuple[frozenset[str], dict[str, Any]]:
    """The fields whose type accepts no text, and those that are structs, with their classes."""
    fields = msgspec.inspect.type_info(kind).fields  # type: ignore[attr-defined]
    nested = {field.encode_name: part for field in fields if (part := _struct_in(field.type))}
    return frozenset(field.encode_name for field in fields if _is_non_text(field.type)), nested


def _struct_in(kind: msgspec.inspect.Type) -> Any:
    parts = kind.types if isinstance(kind, UnionType) else (kind,)
    return next((part.cls for part in parts if isinstance(part, StructType)), None)


def _is_non_text(kind: msgspec.inspect.Type) -> bool:
    match kind:
        case UnionType():
            return all(map(_is_non_text, kind.types))
        case Metadata():
            return _is_non_text(kind.type)
    return isinstance(kind, IntType | BoolType | ListType | NoneType)


def _read_query(query: str, kind: Any) -> dict[str, Any]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise ParameterInvalid from None
    if any("\0" in value for _, value in pairs):
        raise ParameterInvalid
    values: dict[str, Any] = dict(pairs)
    for name in _list_fields(kind) & values.keys():
        values[name] = [value for key, value in pairs if key == name and value]
    return values


@cache
def _list_fields(kind: Any) -> frozenset[str]:
    """The fields that a query string may repeat."""
    fields = msgspec.structs.fields(kind)
    return frozenset(field.encode_name for field in fields if get_origin(field.type) is list)


def _read_body(body: bytes, content_type: str) -> dict[str, Any]:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type and not media_type.endswith(("/json", "+json")):
        raise ContentTypeInvalid(field="content-type")
    try:
        check_depth(body)
        values = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ParameterInvalid from None
    # Neither text nor jsonb of PostgreSQL can store a NUL.
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
    """The error that fits, with its field: msgspec says what is wrong, and where, only in its message."""
    place = PLACE.search(message)
    field = place[1] if place else ""
    if missing := MISSING_FIELD.match(message):
        return ParameterMissing(message, field=f"{field}.{missing[1]}".lstrip("."))
    if "of length >= 1" in message:
        return ParameterEmpty(message, field=field)
    if ", got " in message:
        return ParameterMistyped(message, field=field)
    return ParameterInvalid(message, field=field)
