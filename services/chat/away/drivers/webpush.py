"""Web Push (RFC 8030), for browsers and for apps that use UnifiedPush, whose endpoints speak the same."""

from typing import Any

from services.chat.away.drivers.driver import Notice, Outcome, Result, encode, result_of, result_of_error
from services.chat.away.drivers.encryption import MAX_PLAIN, encrypt
from services.chat.away.drivers.vapid import Vapid
from services.outbound.addresses import AddressRefused, Rules, check_url
from services.outbound.client import AnswerLost, OutboundClient, Unreached

GONE = (404, 410)


class WebPush:
    def __init__(self, client: OutboundClient, rules: Rules, vapid: Vapid) -> None:
        self._client, self._rules, self._vapid = client, rules, vapid

    async def send(self, device: Any, notice: Notice) -> Result:
        try:
            body = encrypt(plain_of(notice), device.p256dh, device.auth)
            headers = {
                "Authorization": self._vapid.authorization(check_url(device.address, self._rules).origin),
                "Content-Encoding": "aes128gcm",
                "Content-Type": "application/octet-stream",
                "TTL": str(notice.ttl),
                "Topic": notice.collapse,
                "Urgency": "high" if notice.urgent else "normal",
            }
            answer = await self._client.post(device.address, headers, body)
        except ValueError as error:
            return Result(Outcome.FAILED, detail=str(error))
        except (AddressRefused, AnswerLost, Unreached) as error:
            return result_of_error(error)
        return result_of(answer, gone=answer.status in GONE)


def plain_of(notice: Notice) -> bytes:
    """The notice as JSON; without the text if it is too long for one message, which a device then loads."""
    shown = {"title": notice.title, "body": notice.body, "badge": notice.badge, "tag": notice.collapse}
    plain = encode({**shown, "data": notice.data})
    return plain if len(plain) <= MAX_PLAIN else encode({**shown, "body": "", "data": notice.data})
