"""A refusal of one item of a batch as the error that a call of its own would have raised."""

import grpc
import grpc.aio

from services.kit.errors import FIELD_KEY, REASON_KEY, RETRY_AFTER_KEY

STATUSES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


def refusal_error(
    status: int, reason: str, field: str = "", retry_after: float = 0.0, detail: str = ""
) -> grpc.aio.AioRpcError:
    """`status`: the number of a gRPC status. `retry_after`: seconds; 0: unknown."""
    trailer = grpc.aio.Metadata((REASON_KEY, reason))
    if field:
        trailer.add(FIELD_KEY, field)
    if retry_after:
        trailer.add(RETRY_AFTER_KEY, f"{retry_after:.3f}")
    code = STATUSES.get(status, grpc.StatusCode.INTERNAL)
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailer, detail)
