"""Apple Push Notification service, over HTTP/2 with a token that a key of the developer's account signs."""

from time import monotonic, time
from typing import Any, NamedTuple

import jwt
import msgspec

from services.chat.away.drivers.driver import Notice, Outcome, Result, encode, result_of, result_of_error
from services.outbound.addresses import AddressRefused
from services.outbound.client import Answer, AnswerLost, OutboundClient, Unreached

TOKEN_SECONDS = 40 * 60.0  # Apple wants a new one after 20 to 60 minutes
GONE = ("BadDeviceToken", "DeviceTokenNotForTopic", "Unregistered", "ExpiredToken")
MAX_BODY = 4_096  # bytes


class Identity(NamedTuple):
    key: str  # PEM
    key_id: str
    team_id: str
    topic: str  # the app's bundle id


class Apns:
    def __init__(self, client: OutboundClient, identity: Identity, url: str) -> None:
        self._client, self._identity, self._url = client, identity, url.rstrip("/")
        self._token, self._until = "", 0.0

    async def send(self, device: Any, notice: Notice) -> Result:
        headers = {
            "authorization": f"bearer {self._provider_token()}",
            "apns-topic": self._identity.topic,
            "apns-push-type": "alert",
            "apns-priority": "10" if notice.urgent else "5",
            "apns-expiration": str(int(time()) + notice.ttl),
            "apns-collapse-id": notice.collapse,
        }
        try:
            answer = await self._client.post(f"{self._url}/3/device/{device.address}", headers, body_of(notice))
        except (AddressRefused, AnswerLost, Unreached) as error:
            return result_of_error(error)
        reason = _reason(answer)
        if reason == "ExpiredProviderToken":
            self._until = 0.0
            return Result(Outcome.RETRY, detail=reason)
        return result_of(answer, gone=answer.status == 410 or reason in GONE)

    def _provider_token(self) -> str:
        if monotonic() > self._until:
            claims = {"iss": self._identity.team_id, "iat": int(time())}
            self._token = jwt.encode(claims, self._identity.key, "ES256", {"kid": self._identity.key_id})
            self._until = monotonic() + TOKEN_SECONDS
        return self._token


def body_of(notice: Notice) -> bytes:
    """`mutable-content` lets the app put its own words in place of ours; without the text if it would be too long."""
    alert = {"title": notice.title, "body": notice.body}
    aps = {"alert": alert, "badge": notice.badge, "sound": "default", "thread-id": notice.collapse}
    body = encode({"aps": aps | {"mutable-content": 1}, **notice.data})
    return body if len(body) <= MAX_BODY else encode({"aps": aps | {"alert": {"title": notice.title}}, **notice.data})


def _reason(answer: Answer) -> str:
    try:
        return str(msgspec.json.decode(answer.body)["reason"]) if answer.body else ""
    except (msgspec.DecodeError, LookupError, TypeError):
        return ""
