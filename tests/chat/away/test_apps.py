"""Firebase and Apple, as their servers see it: HTTP/2, tokens that are verified, and answers of each kind."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from services.chat.away.configuration import open_drivers
from services.chat.away.drivers.driver import APNS, FCM, Driver, Notice, Outcome, retry_after
from services.chat.config import ChatSettings
from services.kit.config import ConfigError
from tests.support.processes import common_settings
from tests.support.push_services import Answer, PushService, Request, running_push_service
from tests.support.servers import Servers

DATA = {"type": "message", "conversation_id": "7101", "seq": 31, "count": 2, "badge": 3}
NOTICE = Notice("ab" * 16, "hitok", "2 new messages", 3, DATA, urgent=True, ttl=600)
TOKEN, PHONE = "fcm-token:of-a-phone", "0a" * 32


class Keys(NamedTuple):
    google: rsa.RSAPrivateKey
    apple: ec.EllipticCurvePrivateKey


def pem(key: Any) -> str:
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


@pytest.fixture(scope="module")
def keys() -> Keys:
    return Keys(rsa.generate_private_key(65_537, 2_048), ec.generate_private_key(ec.SECP256R1()))


@pytest.fixture(params=["h2", "http/1.1"])
async def google(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[PushService]:
    async with running_push_service(tmp_path, request.param) as service:
        yield service


@pytest.fixture
async def apple(tmp_path: Path) -> AsyncIterator[PushService]:
    async with running_push_service(tmp_path, "h2") as service:
        yield service


def settings_of(servers: Servers, **more: str) -> ChatSettings:
    return common_settings(ChatSettings, "chat", servers, HITOK_POSTGRES_URL="postgresql://none/none", **more)


async def open_driver(stack: AsyncExitStack, kind: str, settings: ChatSettings) -> Driver:
    return (await stack.enter_async_context(open_drivers(settings))).by_kind[kind]


def firebase(servers: Servers, service: PushService, keys: Keys) -> ChatSettings:
    account = {"project_id": "films", "client_email": "push@films.example", "private_key": pem(keys.google)}
    account |= {"token_uri": f"{service.url}/token"}
    given = {"HITOK_PUSH_FCM_ACCOUNT": json.dumps(account), "HITOK_PUSH_FCM_URL": service.url}
    return settings_of(servers, HITOK_PUSH_CA=service.ca, **given)


def apns(servers: Servers, service: PushService, keys: Keys) -> ChatSettings:
    given = {"KEY": pem(keys.apple), "KEY_ID": "ABC123DEFG", "TEAM_ID": "DEF123GHIJ", "TOPIC": "org.films"}
    named = {f"HITOK_PUSH_APNS_{name}": value for name, value in given.items()}
    return settings_of(servers, HITOK_PUSH_CA=service.ca, HITOK_PUSH_APNS_URL=service.url, **named)


def answering(answer: Answer) -> Any:
    """As Google answers: a token, then `answer` to each message."""

    def of(request: Request) -> Answer:
        token = {"access_token": "token-of-google", "expires_in": 3_600}
        return Answer(200, body=json.dumps(token).encode()) if request.path == "/token" else answer

    return of


def device(address: str) -> Any:
    return SimpleNamespace(address=address, p256dh=b"", auth=b"")


async def test_firebase(servers: Servers, google: PushService, keys: Keys) -> None:
    google.answer = answering(Answer(200, body=b"{}"))
    async with AsyncExitStack() as stack:
        driver = await open_driver(stack, FCM, firebase(servers, google, keys))
        results = [await driver.send(device(TOKEN), NOTICE) for _ in range(2)]
    assert [result.outcome for result in results] == [Outcome.SENT] * 2
    asked, first, _ = google.requests  # one token for both
    form = {name: value for name, (value,) in parse_qs(asked.body.decode()).items()}
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    audience = f"{google.url}/token"
    claims = jwt.decode(form["assertion"], keys.google.public_key(), ["RS256"], audience=audience)
    scope = "https://www.googleapis.com/auth/firebase.messaging"
    assert (claims["iss"], claims["scope"]) == ("push@films.example", scope)
    assert claims["exp"] - claims["iat"] == 3_600
    assert (first.method, first.path) == ("POST", "/v1/projects/films/messages:send")
    assert first.headers["authorization"] == "Bearer token-of-google"
    message = json.loads(first.body)["message"]
    assert message["token"] == TOKEN
    assert message["data"] == {**DATA, "seq": "31", "count": "2", "badge": "3"}  # texts only
    android = message["android"]
    assert (android["collapse_key"], android["ttl"], android["priority"]) == ("ab" * 16, "600s", "HIGH")
    assert android["notification"] == {"tag": "ab" * 16, "notification_count": 3}
    assert message["notification"] == {"title": "hitok", "body": "2 new messages"}


def fcm_error(code: str) -> bytes:
    kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
    return json.dumps({"error": {"status": "SOME", "details": [{"@type": kind, "errorCode": code}]}}).encode()


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (404, "UNREGISTERED", Outcome.GONE),
        (403, "SENDER_ID_MISMATCH", Outcome.GONE),
        (403, "THIRD_PARTY_AUTH_ERROR", Outcome.FAILED),
        (404, "", Outcome.FAILED),  # a wrong project is no device that is gone
        (400, "INVALID_ARGUMENT", Outcome.FAILED),
        (401, "UNAUTHENTICATED", Outcome.RETRY),
        (429, "QUOTA_EXCEEDED", Outcome.RETRY),
        (500, "INTERNAL", Outcome.RETRY),
        (503, "UNAVAILABLE", Outcome.RETRY),
    ],
)
async def test_answers_of_firebase(
    servers: Servers, apple: PushService, keys: Keys, status: int, code: str, outcome: Outcome
) -> None:
    apple.answer = answering(Answer(status, [("retry-after", "30")], fcm_error(code) if code else b"not json"))
    async with AsyncExitStack() as stack:
        driver = await open_driver(stack, FCM, firebase(servers, apple, keys))
        result = await driver.send(device(TOKEN), NOTICE)
        assert result.outcome is outcome
        assert result.retry_after == (30 if outcome is Outcome.RETRY and status != 401 else 0)
        await driver.send(device(TOKEN), NOTICE)
    assert len(apple.of("/token")) == (2 if status == 401 else 1)


async def test_google_that_gives_out_no_token(servers: Servers, apple: PushService, keys: Keys) -> None:
    apple.answer = lambda _: Answer(400, body=b'{"error":"invalid_grant"}')
    async with AsyncExitStack() as stack:
        driver = await open_driver(stack, FCM, firebase(servers, apple, keys))
        assert (await driver.send(device(TOKEN), NOTICE)).outcome is Outcome.RETRY
    assert [request.path for request in apple.requests] == ["/token"]


async def test_apple(servers: Servers, apple: PushService, keys: Keys) -> None:
    apple.answer = lambda _: Answer(200)
    async with AsyncExitStack() as stack:
        driver = await open_driver(stack, APNS, apns(servers, apple, keys))
        for notice in (NOTICE, NOTICE._replace(urgent=False)):
            assert (await driver.send(device(PHONE), notice)).outcome is Outcome.SENT
    first, second = apple.requests
    assert (first.version, first.method, first.path) == ("h2", "POST", f"/3/device/{PHONE}")
    scheme, token = first.headers["authorization"].split(" ")
    assert (scheme, first.headers["authorization"]) == ("bearer", second.headers["authorization"])
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "kid": "ABC123DEFG", "typ": "JWT"}
    claims = jwt.decode(token, keys.apple.public_key(), ["ES256"])
    assert claims == {"iss": "DEF123GHIJ", "iat": claims["iat"]}
    names = ("apns-topic", "apns-push-type", "apns-priority", "apns-collapse-id")
    assert [first.headers[name] for name in names] == ["org.films", "alert", "10", "ab" * 16]
    assert second.headers["apns-priority"] == "5"
    assert 500 < int(first.headers["apns-expiration"]) - datetime.now(UTC).timestamp() <= 600
    sent = json.loads(first.body)
    assert sent["aps"]["alert"] == {"title": "hitok", "body": "2 new messages"}
    assert (sent["aps"]["badge"], sent["conversation_id"], sent["seq"]) == (3, "7101", 31)


@pytest.mark.parametrize(
    ("status", "reason", "outcome"),
    [
        (410, "Unregistered", Outcome.GONE),
        (410, "ExpiredToken", Outcome.GONE),
        (400, "BadDeviceToken", Outcome.GONE),
        (400, "DeviceTokenNotForTopic", Outcome.GONE),
        (400, "BadTopic", Outcome.FAILED),
        (403, "InvalidProviderToken", Outcome.FAILED),
        (403, "ExpiredProviderToken", Outcome.RETRY),
        (429, "TooManyRequests", Outcome.RETRY),
        (500, "InternalServerError", Outcome.RETRY),
        (503, "Shutdown", Outcome.RETRY),
        (413, "", Outcome.FAILED),
    ],
)
async def test_answers_of_apple(
    servers: Servers, apple: PushService, keys: Keys, status: int, reason: str, outcome: Outcome
) -> None:
    apple.answer = lambda _: Answer(status, body=json.dumps({"reason": reason}).encode() if reason else b"x")
    async with AsyncExitStack() as stack:
        driver = await open_driver(stack, APNS, apns(servers, apple, keys))
        assert (await driver.send(device(PHONE), NOTICE)).outcome is outcome


async def test_a_long_text_fits_into_what_apple_takes(servers: Servers, apple: PushService, keys: Keys) -> None:
    async with AsyncExitStack() as stack:
        driver = await open_driver(stack, APNS, apns(servers, apple, keys))
        await driver.send(device(PHONE), NOTICE._replace(body="長" * 4_000))
    (request,) = apple.requests
    assert len(request.body) <= 4_096
    assert json.loads(request.body)["aps"]["alert"] == {"title": "hitok"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"VAPID_KEY": "changeme"},
        {"FCM_ACCOUNT": "{}"},
        {"FCM_ACCOUNT": '{"project_id":"a","client_email":"b","private_key":"c"}'},
        {"APNS_KEY": "no key"},
        {"APNS_KEY": "no key", "APNS_KEY_ID": "a", "APNS_TEAM_ID": "b", "APNS_TOPIC": "c"},
    ],
)
async def test_a_wrong_key_ends_the_start(servers: Servers, wrong: dict[str, str]) -> None:
    given = {f"HITOK_PUSH_{name}": value for name, value in wrong.items()}
    async with AsyncExitStack() as stack:
        with pytest.raises(ConfigError, match=f"HITOK_PUSH_{next(iter(wrong))}"):
            await stack.enter_async_context(open_drivers(settings_of(servers, **given)))


def test_when_to_try_again() -> None:
    assert [retry_after(text) for text in ("", "30", "-5", "soon", "99999999")] == [0, 30, 0, 0, 3_600]
    date = "Fri, 01 Jan 2100 00:00:00 GMT"
    assert retry_after(date) == 3_600
    assert retry_after(date.replace("2100", "2000")) == 0
