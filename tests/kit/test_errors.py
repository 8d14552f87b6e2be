import grpc
import grpc.aio
import pytest

from gateway.http.error_answers import field_of, retry_after_of
from protos.user.v1 import accounts_pb2 as pb
from protos.user.v1.accounts_pb2_grpc import AccountsStub
from services.kit.errors import (
    Conflict,
    HitokError,
    Invalid,
    reason_of,
)
from tests.kit.rpc import channel_to, serving, succeed


class PhoneTaken(Conflict):
    pass


class HTTPOddity(Invalid):
    pass


@pytest.mark.parametrize(
    ("kind", "reason", "status"),
    [
        (PhoneTaken, "PHONE_TAKEN", grpc.StatusCode.ALREADY_EXISTS),
        (HTTPOddity, "HTTPODDITY", grpc.StatusCode.INVALID_ARGUMENT),
        (HitokError, "INTERNAL", grpc.StatusCode.INTERNAL),
    ],
)
def test_the_reason_is_the_name_of_the_class(kind: type[HitokError], reason: str, status: grpc.StatusCode) -> None:
    assert (kind.reason, kind.status, str(kind())) == (reason, status, reason)


def error(status: grpc.StatusCode, *trailer: tuple[str, str]) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(status, grpc.aio.Metadata(), grpc.aio.Metadata(*trailer))


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "UNAVAILABLE"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "UNAVAILABLE"),
        (grpc.StatusCode.CANCELLED, "UNAVAILABLE"),
        (grpc.StatusCode.INTERNAL, "INTERNAL"),
        (grpc.StatusCode.UNKNOWN, "INTERNAL"),
    ],
)
def test_an_error_that_no_service_gave_a_reason_for_has_one_by_its_status(status: grpc.StatusCode, reason: str) -> None:
    assert reason_of(error(status)) == reason
    assert reason_of(error(status, ("x-error-reason", "PHONE_TAKEN"))) == "PHONE_TAKEN"


def test_when_to_try_again_is_told_only_if_the_service_said() -> None:
    assert retry_after_of(error(grpc.StatusCode.UNAVAILABLE)) is None
    assert retry_after_of(error(grpc.StatusCode.UNAVAILABLE, ("x-retry-after", "1.5"))) == 1.5


async def test_a_service_that_is_away_is_unavailable() -> None:
    async with serving(succeed) as port:
        pass
    async with channel_to(port) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await AccountsStub(channel).Logout(pb.LogoutRequest())
    assert reason_of(refused.value) == "UNAVAILABLE"


def test_an_error_names_the_field_of_its_class_or_its_own() -> None:
    class PhoneInvalid(Invalid):
        field = "phone"

    assert (Invalid().field, PhoneInvalid().field, PhoneInvalid("letters").field) == ("", "phone", "phone")
    named = PhoneInvalid(field="mobile")
    assert (named.field, str(named)) == ("mobile", "mobile")
    assert field_of(error(grpc.StatusCode.INVALID_ARGUMENT, ("x-error-field", "phone"))) == "phone"
    assert field_of(error(grpc.StatusCode.INVALID_ARGUMENT)) == ""
