"""Example values for the OpenAPI document: the view of one user, Ann, with the values of the source documents."""

from typing import Any

from msgspec import NODEFAULT
from msgspec.inspect import (
    BoolType,
    DictType,
    Field,
    FloatType,
    IntType,
    ListType,
    LiteralType,
    Metadata,
    NoneType,
    StrType,
    StructType,
    Type,
    UnionType,
    type_info,
)

MAX_SAFE = 2**53
ID, OTHER_ID = 184930283746509209, 184930283746511873
SECONDS, MILLISECONDS, MOMENT = 1763712000, "1763712000000", "2025-11-21T08:00:00.000Z"
TOKEN = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2lnbmF0dXJl"  # noqa: S105 - not a secret
HASH = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
FILE = f"/media/{HASH}"
PUSH_KEY = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
TEXT = {"text": "晚上一起看电影吗？"}
SUBJECT = {"kind": "video", "id": str(OTHER_ID), "owner_id": str(ID), "conversation_id": "", "seq": 0}

# By the name of the field, or by struct and field where one name has several meanings.
VALUES: dict[str, Any] = {
    "email": "ann@example.com", "code": "483920", "username": "ann", "user_name": "ben", "nickname": "Ann",
    "password": "correct horse", "old_password": "correct horse", "new_password": "battery staple",
    "UserView.password": "", "ListedUser.password": "",
    "atoken": TOKEN, "rtoken": TOKEN, "token": TOKEN, "expire": SECONDS, "ticket": "Zk3vJ8mB1xQ",
    "id": ID, "user_id": ID, "target_id": OTHER_ID, "session_id": OTHER_ID, "owner_id": ID, "creator_id": ID,
    "avatar": f"{FILE}.png", "role": 1, "bio": "你好", "Bio": "你好", "Introduction": "你好", "sex": 1,
    "phone": "13800138000", "Phone": "13800138000", "mobile": "13800138000", "lastLogin": MOMENT,
    "create_at": MILLISECONDS, "CreatedTime": MILLISECONDS, "UpdatedTime": MILLISECONDS, "PublishTime": MILLISECONDS,
    "Community.created_at": MILLISECONDS, "Community.updated_at": MILLISECONDS,
    "created_at": MOMENT, "updated_at": MOMENT, "last_seen_at": MOMENT, "expires_at": MOMENT, "edited_at": "",
    "recalled_at": "", "LoginTime": MOMENT, "HeartbeatTime": MOMENT, "login_out_time": MOMENT,
    "ClientIp": "203.0.113.7", "ClientPort": "50514", "ip": "203.0.113.7", "DeviceInfo": "Firefox", "device": "Firefox",
    "IsLogout": False, "current": True, "cursor": "", "next_cursor": "", "limit": 20, "page": 1, "page_size": 20,
    "remark": "Benny", "query": "be", "name": "Film club", "owner_name": "ann", "img": f"{FILE}.png", "icon": "",
    "word": "spoiler", "words": "spoiler", "Search.text": "天气", "content_types": "text,file", "emoji": "👍",
    "React.emoji": "👍", "ListReactors.emoji": "👍", "ReactionView.count": 2, "reacted": True, "mine": True,
    "reactions_rev": 42, "since": MOMENT, "pinned_at": MOMENT,
    "RegisterDevice.kind": "webpush", "DeviceView.kind": "webpush", "address": "https://push.example.com/send/abc",
    "keys": {"p256dh": PUSH_KEY, "auth": "BTBZMqHH6r4Tts7J_aSIgg"}, "origin": "https://push.example.com",
    "device_id": OTHER_ID, "quiet_from": "22:00", "quiet_until": "07:00", "time_zone": "Asia/Shanghai",
    "muted_kinds": "like", "kinds": "webpush", "vapid_public_key": PUSH_KEY, "SetPushSettings.content": False,
    "PushSettingsView.content": False,
    "tag": "日落", "OfCollection.collection_id": 0, "SaveVideo.collection_id": 0, "RenameCollection.name": "Evenings",
    "desc": "Every Friday", "description": "Every Friday", "announcement": "Tonight at eight", "member_count": 12,
    "community_id": OTHER_ID, "order_by": "latest", "seed": 7, "title": "日落", "url": f"{FILE}.mp4", "file": "",
    "video_url": f"{FILE}.mp4", "video_path": f"{FILE}.mp4", "playback": f"{FILE}.mp4", "playback_url": f"{FILE}.mp4",
    "storyboard": f"{FILE}.tiles", "storyboard_url": f"{FILE}.tiles",
    "language": "zh-Hant", "label": "繁體中文", "text": "WEBVTT\n\n00:01.000 --> 00:02.500\n你好\n",
    "CaptionsView.url": f"{FILE}.vtt", "progress": 42, "stage": "encoding",
    "cover": f"{FILE}.jpg", "cover_url": f"{FILE}.jpg", "cover_path": f"{FILE}.jpg",
    "video_id": OTHER_ID, "comment_id": OTHER_ID, "father_id": OTHER_ID, "before_id": OTHER_ID, "reply_to_id": "0",
    "is_video": True, "total": "1", "length": "1", "content": "真好看！", "visibility": "public", "member": "",
    "watched_seconds": 4.5, "why": "tag", "whys": "tag", "liked_video_id": "0", "score": 0.6, "fatigue": 1.0,
    "ScorePart.name": "tags", "value": 0.5, "weight": 1.2, "author_id": ID, "NotInterested.video_id": OTHER_ID,
    "KeptOut.video_id": OTHER_ID, "KeptOut.author_id": "0", "KeptOut.tag": "", "KeptOut.created_at": str(SECONDS),
    "who_may_comment": "everyone", "may_comment": True, "CommentView.edited_at": "0",
    "PinComment.comment_id": OTHER_ID, "available": True,
    "hidden": True, "pinned": False, "muted": False, "muted_until": "", "until": MOMENT, "marks_rev": 4, "from_rev": 3,
    "to_rev": 4, "cleared_seq": 0, "peer_gone": False, "MarkView.muted_until": MOMENT,
    "conversation_id": OTHER_ID, "kind": "direct", "rev": 42, "seq": 17, "last_seq": 17, "read_seq": 16,
    "before_seq": 17, "reply_to_seq": 16, "message_id": OTHER_ID, "sender_id": ID, "peer_id": OTHER_ID,
    "client_msg_id": "0f0e1d2c-3b4a-4958-8776-655443322110", "content_type": "text", "body": TEXT, "mentions": OTHER_ID,
    "group_id": OTHER_ID, "to": {"user_id": str(OTHER_ID)}, "user_ids": ID, "notification_id": OTHER_ID,
    "notification_ids": OTHER_ID,
    "subject": {"video_id": str(OTHER_ID)}, "before": OTHER_ID,
    "size": 1_048_576, "width": 1280, "height": 720, "duration": 12_500, "codec": "h264", "status": "ready",
    "reason": "", "user_uid": OTHER_ID, "req_uid": OTHER_ID, "friend_uid": OTHER_ID, "create_uid": ID,
    "inviter_uid": OTHER_ID, "inviter_user_id": OTHER_ID, "handle_user_id": ID, "notification_uid": "",
    "req_msg": "I am Ben", "req_time": SECONDS, "handle_time": SECONDS, "handle_result": 1, "friend_req_id": 3,
    "group_req_id": 3, "Friend.id": 3, "Joining.group_id": 7, "FriendRequest.id": 3, "JoinRequest.id": 3,
    "Member.id": 3, "FileView.id": HASH, "FileView.kind": "video", "FileView.type": "video/mp4", "ByFile.id": HASH,
    "OwnFile.id": HASH, "OwnFile.kind": "video", "OwnFile.type": "video/mp4",
    "network": "203.0.113.0/24", "rotate": True, "uploaded_at": MOMENT,
    "second_code": "492039", "secret": "JBSWY3DPEHPK3PXP", "codes": "K7WP-3MXH-92QT",
    "uri": "otpauth://totp/hitok:ann?secret=JBSWY3DPEHPK3PXP&issuer=hitok", "onLineList": {str(OTHER_ID): True},
    "conversationId": OTHER_ID, "msgId": OTHER_ID, "sendId": ID, "recvId": OTHER_ID, "chatType": 1, "msgType": 1,
    "msgContent": "hi", "startSendTime": 0, "endSendTime": 0, "count": 20,
    "reads": OTHER_ID, "unReads": OTHER_ID,
    "ConversationStates.conversationList": {
        str(OTHER_ID): {"conversationId": str(OTHER_ID), "chatType": 1, "isShow": True, "seq": 17, "read": 16}
    },
    "report_id": OTHER_ID, "case_id": OTHER_ID, "act_id": OTHER_ID, "reporter_id": ID, "moderator_id": ID,
    "note": "at 0:10", "verb": "dismiss", "outcome": "dismiss", "snapshot": {"title": "日落"}, "report_count": 2,
    "reversed_at": "", "reversed_by": "", "reversal_note": "", "seconds": 86_400,
    "appeal_id": OTHER_ID, "answer": "", "granted": True,
    "MakeAppeal.text": "It was a joke.", "AppealByPassword.text": "It was a joke.", "AppealView.text": "It was a joke.",
    "AppealView.decided_at": "", "decided_by": "",
    "claimed_by": ID, "claimed_until": MOMENT, "closed_at": "", "CaseView.subject": SUBJECT, "ActView.subject": SUBJECT,
    "CaseView.state": "claimed", "ReportView.snapshot": None, "OwnReport.kind": "video",
    "ChangeConversations.conversationList": {str(OTHER_ID): {"read": 17}},
}  # fmt: skip

# By struct, the optional fields without which a request means nothing.
MORE = {
    "CreateReport": ("id",),
    "AppealByPassword": ("email",),
    "EditComment": ("comment_id",),
    "RegisterDevice": ("keys",),
}


def example_of(kind: Any) -> Any:
    """A JSON value of this type."""
    return _example(type_info(kind), "", "")


def request_of(kind: Any) -> dict[str, Any]:
    """The required fields; if there are none, the first field other than `user_id`, which only repeats the caller."""
    info = type_info(kind)
    assert isinstance(info, StructType)
    optional = [field for field in info.fields if field.encode_name != "user_id"]
    more = MORE.get(info.cls.__name__, ())
    fields = [field for field in info.fields if field.required or field.encode_name in more] or optional[:1]
    return {field.encode_name: _of_field(field, info.cls.__name__) for field in fields}


def _of_field(field: Field, owner: str) -> Any:
    return _example(field.type, owner, field.encode_name)


def _example(kind: Type, owner: str, name: str) -> Any:  # noqa: C901 - one line per type
    value = VALUES.get(f"{owner}.{name}", VALUES.get(name, NODEFAULT))
    match kind:
        case Metadata():
            return _example(kind.type, owner, name)
        case UnionType():
            return _example(next(part for part in kind.types if not isinstance(part, NoneType)), owner, name)
        case StructType() if value is NODEFAULT:
            return {field.encode_name: _of_field(field, kind.cls.__name__) for field in kind.fields}
        case ListType():
            return [_example(kind.item_type, owner, name)]
        case NoneType():
            return {}
        case BoolType():
            return value is True
        case LiteralType():
            return value if value in kind.values else kind.values[0]
        case IntType():
            # A JavaScript number cannot hold the large ones.
            return 1 if not isinstance(value, int) else str(value) if value > MAX_SAFE else value
        case FloatType() | DictType():
            return value
        case StrType():
            return str(value) if value is not NODEFAULT else "1"
    return value
