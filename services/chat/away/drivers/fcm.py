"""Firebase Cloud Messaging, HTTP v1, for Android apps (and iOS apps that use it)."""

import asyncio
from time import monotonic, time
from typing import Any
from urllib.parse import urlencode

import jwt
import msgspec
from msgspec import Struct

from services.chat.away.drivers.driver import Notice, Outcome, Result, encode, result_of, result_of_error
from services.outbound.addresses import AddressRefused
from services.outbound.client import Answer, AnswerLost, OutboundClient, Unreached

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_SECONDS = 3_600
EARLY = 120.0  # seconds before its end at which an access token is renewed
GONE = ("UNREGISTERED", "SENDER_ID_MISMATCH")


class Account(Struct):
    """The service account's JSON file, as Google's console gives it out."""

    project_id: str
    client_email: str
    private_key: str
    token_uri: str = "https://oauth2.googleapis.com/token"  # noqa: S105


class _Token(Struct):
    access_token: str
    expires_in: int = 3_600


class _Refused(Exception):
    """Google gave out no token."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


class Fcm:
    def __init__(self, client: OutboundClient, account: Account, url: str) -> None:
        self._client, self._account = client, account
        self._url = f"{url.rstrip('/')}/v1/projects/{account.project_id}/messages:send"
        self._token, self._until, self._renewal = "", 0.0, asyncio.Lock()

    async def send(self, device: Any, notice: Notice) -> Result:
        try:
            token = await self._access_token()
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            answer = await self._client.post(self._url, headers, encode(message(device.address, notice)))
        except _Refused as refused:
            return Result(Outcome.RETRY, detail=f"no access token: {refused.answer.status}")
        except (AddressRefused, Unreached, AnswerLost) as error:
            return result_of_error(error)
        if answer.status == 401:  # the token was revoked before its time
            self._until = 0.0
            return Result(Outcome.RETRY, detail="access token refused")
        return result_of(answer, gone=answer.status in (403, 404) and _error_code(answer) in GONE)

    async def _access_token(self) -> str:
        """One request for all who need it. Raises what `post` raises, and _Refused."""
        async with self._renewal:
            if monotonic() > self._until - EARLY:
                now, account = int(time()), self._account
                claims = {"iss": account.client_email, "scope": SCOPE, "aud": account.token_uri}
                claims |= {"iat": now, "exp": now + ASSERTION_SECONDS}  # type: ignore[dict-item]
                assertion = jwt.encode(claims, account.private_key, "RS256")
                form = urlencode({"grant_type": GRANT, "assertion": assertion}).encode()
                kind = {"Content-Type": "application/x-www-form-urlencoded"}
                try:
                    answer = await self._client.post(account.token_uri, kind, form)
                except AnswerLost as error:  # the push itself was not sent
                    raise Unreached(str(error)) from error
                if answer.status != 200:
                    raise _Refused(answer)
                token = msgspec.json.decode(answer.body, type=_Token)
                self._token, self._until = token.access_token, monotonic() + token.expires_in
        return self._token


def message(token: str, notice: Notice) -> dict[str, Any]:
    """Data values are text."""
    data = {name: value if isinstance(value, str) else encode(value).decode() for name, value in notice.data.items()}
    shown = {"tag": notice.collapse, "notification_count": notice.badge}
    android = {"collapse_key": notice.collapse, "ttl": f"{notice.ttl}s", "notification": shown}
    android["priority"] = "HIGH" if notice.urgent else "NORMAL"
    apns = {"headers": {"apns-collapse-id": notice.collapse}, "payload": {"aps": {"badge": notice.badge}}}
    text = {"title": notice.title, "body": notice.body}
    return {"message": {"token": token, "notification": text, "data": data, "android": android, "apns": apns}}


def _error_code(answer: Answer) -> str:
    """FCM's own code among the details of an error, else its status."""
    try:
        error = msgspec.json.decode(answer.body)["error"]
        codes = [each["errorCode"] for each in error.get("details", ()) if "errorCode" in each]
        return str(codes[0] if codes else error.get("status", ""))
    except (msgspec.DecodeError, LookupError, TypeError, AttributeError):
        return ""
