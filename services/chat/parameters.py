"""Lists as parameters. As one text they cost less than as arrays, which the driver writes value by value."""

from collections.abc import Mapping, Sequence

import msgspec

_encode = msgspec.json.Encoder().encode


def json_rows(values: Sequence[Mapping[str, object]]) -> str:
    """A parameter for jsonb_to_recordset."""
    return _encode(values).decode()


def int_array(values: Sequence[int]) -> str:
    """A parameter for CAST(:name AS bigint[])."""
    return "{" + ",".join(map(str, values)) + "}"
