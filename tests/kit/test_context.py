import asyncio

import pytest

from services.kit.context import (
    ANONYMOUS,
    Caller,
    CallerMissing,
    current_caller,
    current_request_id,
    from_metadata,
    require_caller,
    to_metadata,
)
from tests.support.user import acting


async def test_a_caller_travels_as_metadata() -> None:
    caller = Caller(2**63 - 1, 3, 42)
    with acting(caller):
        current_request_id.set("r1")
        assert from_metadata(to_metadata("secret")) == (caller, "r1")


async def test_an_anonymous_call_has_a_request_id_of_its_own() -> None:
    caller, request_id = from_metadata(to_metadata("secret"))
    assert caller == ANONYMOUS and len(request_id) == 16
    assert from_metadata([])[1] != from_metadata([])[1]


async def test_requests_at_once_do_not_see_one_anothers_caller() -> None:
    async def serve(user_id: int) -> int:
        current_caller.set(Caller(user_id))
        await asyncio.sleep(0)
        return require_caller().user_id

    assert await asyncio.gather(*(asyncio.create_task(serve(id)) for id in range(1, 20))) == list(range(1, 20))
    with pytest.raises(CallerMissing):
        require_caller()
