"""What a device is told. By default only that there is something new: push services and lock screens see it."""

import hashlib
from typing import Any

import msgspec

from services.chat.away.drivers.driver import Notice

TITLE = "hitok"
MAX_BODY = 200  # characters
KINDS = {"image": "[image]", "video": "[video]", "audio": "[audio]", "file": "[file]"}


def notice_of(row: Any, ttl: float) -> Notice:
    """`row`: of queue.COMPOSE; `ttl`: seconds."""
    told = _of_message(row) if row.conversation_id else _of_notification(row)
    title, body, data, urgent = told
    return Notice(_collapse(row), title, body, row.badge, data | {"badge": row.badge}, urgent, max(int(ttl), 0))


def _of_message(row: Any) -> tuple[str, str, dict[str, Any], bool]:
    data = {"type": "message", "conversation_id": str(row.conversation_id), "seq": row.last, "count": row.count}
    if not row.content:
        return TITLE, "New message" if row.count == 1 else f"{row.count} new messages", data, True
    text = row.body if row.content_type == "text" else KINDS.get(row.content_type, "")
    data["sender_id"] = str(row.sender_id)
    return row.title or TITLE, _shortened(text or "New message"), data, True


def _of_notification(row: Any) -> tuple[str, str, dict[str, Any], bool]:
    data: dict[str, Any] = {"type": "notification", "notification_id": str(row.notification_id)}
    if row.content:
        subject = msgspec.json.decode(row.subject or "{}")
        data |= {"kind": row.told, "actor_id": str(row.actor_id), "count": row.actor_count}
        data |= {name: value for name, value in subject.items() if name.endswith("_id")}
    return TITLE, "New notification", data, False


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_BODY else text[: MAX_BODY - 1] + "…"


def _collapse(row: Any) -> str:
    """The same for all that replaces each other on a device; a push service learns no id from it."""
    secret = row.auth or row.address.encode()
    return hashlib.sha256(secret + b"\0" + row.topic.encode()).hexdigest()[:32]
