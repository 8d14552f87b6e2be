"""Each reason of an error with both families' codes and text (docs/contract/api.md, "Envelopes")."""

from typing import NamedTuple

from services.kit.errors import HitokError


class Failure(NamedTuple):
    """A reason as clients see it. `chat_code` is 0 for errors that cannot happen in the chat family."""

    http: int
    video_code: int
    message: str
    chat_code: int


INTERNAL = Failure(500, 60001, "内部错误", 100001)
UNAVAILABLE = Failure(503, 60007, "服务暂不可用", 100001)

FAILURES: dict[str, Failure] = {
    # Tokens
    "TOKEN_EXPIRED": Failure(401, -20000, "token已过期", 100003),
    "TOKEN_MISSING": Failure(401, -20001, "token为空", 100003),
    "TOKEN_INVALID": Failure(401, -20002, "token无效", 100003),
    "SESSION_ENDED": Failure(401, -20002, "token无效", 100003),
    "CALLER_MISSING": Failure(401, -20002, "token无效", 100003),
    "WRONG_TOKEN_CLASS": Failure(401, -20003, "token类型错误", 100003),
    "TOKEN_MALFORMED": Failure(401, -20004, "token格式错误", 100003),
    "REFRESH_TOKEN_EXPIRED": Failure(401, -20006, "rtoken已过期", 100003),
    # Any request
    "TOO_MANY_REQUESTS": Failure(429, -20007, "请求过于频繁", 100006),
    "NOT_PERMITTED": Failure(403, -20008, "权限不足", 100010),
    "ACTOR_FORGED": Failure(403, -20008, "权限不足", 100010),
    "PARAMETER_INVALID": Failure(400, 10001, "参数无效", 100002),
    "PARAMETER_EMPTY": Failure(400, 10002, "参数为空", 100002),
    "PARAMETER_MISTYPED": Failure(400, 10003, "参数类型错误", 100002),
    "PARAMETER_MISSING": Failure(400, 10004, "参数缺失", 100002),
    "CURSOR_INVALID": Failure(400, 10001, "参数无效", 100002),
    "BATCH_TOO_LARGE": Failure(400, 10001, "参数无效", 100002),
    # Accounts
    "EMAIL_INVALID": Failure(400, 10007, "邮箱格式错误", 100002),
    "PHONE_INVALID": Failure(400, 10001, "参数无效", 100002),
    "USERNAME_INVALID": Failure(400, 10001, "参数无效", 100002),
    "PASSWORD_INVALID": Failure(400, 10001, "参数无效", 100002),
    "PROFILE_INVALID": Failure(400, 10001, "参数无效", 100002),
    "ROLE_INVALID": Failure(400, 10001, "参数无效", 100002),
    "CODE_INVALID": Failure(400, 10008, "验证码无效", 100002),
    "TOO_MANY_CODES": Failure(429, -20007, "请求过于频繁", 100006),
    "TOO_MANY_GUESSES": Failure(429, -20007, "请求过于频繁", 100006),
    "CREDENTIALS_WRONG": Failure(401, 10009, "账号或密码错误", 100007),
    "EMAIL_TAKEN": Failure(409, 10010, "用户已存在", 100005),
    "PHONE_TAKEN": Failure(409, 10010, "用户已存在", 100005),
    "USERNAME_TAKEN": Failure(409, 10010, "用户已存在", 100005),
    "USER_NOT_FOUND": Failure(404, 10011, "用户不存在", 100009),
    # Friends and groups. 10017 and 10018 belong to videos and comments.
    "SELF_FRIEND": Failure(400, 10012, "不能加自己", 100016),
    "ALREADY_FRIENDS": Failure(409, 10013, "不能重复添加", 100017),
    "GROUP_NAME_EMPTY": Failure(400, 10015, "群名称为空", 100002),
    "GROUP_NOT_FOUND": Failure(404, 10019, "群不存在", 100015),
    "REQUEST_HANDLED": Failure(409, 10020, "申请已处理", 100008),
    "NOT_MEMBER": Failure(403, -20008, "权限不足", 100010),
    "MEMBER_NOT_FOUND": Failure(404, 10021, "不是群成员", 100018),
    "SELF_BLOCK": Failure(400, 10029, "不能拉黑自己", 0),
    "BLOCKED": Failure(403, 10030, "已拉黑对方", 100019),
    "SELF_MUTE": Failure(400, 10067, "不能屏蔽自己", 0),
    "SELF_FOLLOW": Failure(400, 10097, "不能关注自己", 0),
    "FOLLOW_LIMIT_REACHED": Failure(409, 10098, "关注数量已达上限", 0),
    "FOLLOWS_HIDDEN": Failure(403, 10099, "对方未公开关注列表", 0),
    "WORD_INVALID": Failure(400, 10001, "参数无效", 0),
    "MUTE_LIMIT_REACHED": Failure(409, 10068, "屏蔽数量已达上限", 0),
    "OWNER_MUST_STAY": Failure(409, 10031, "群主需先转让或解散群", 0),
    "FRIEND_LIMIT_REACHED": Failure(409, 10032, "好友数量已达上限", 100020),
    "REQUEST_LIMIT_REACHED": Failure(409, 10033, "待处理的申请过多", 100021),
    "GROUP_LIMIT_REACHED": Failure(409, 10034, "加入的群已达上限", 100022),
    "MEMBER_LIMIT_REACHED": Failure(409, 10035, "群成员已满", 100023),
    "FRIEND_NOT_FOUND": Failure(404, 10036, "不是好友", 0),
    "NOT_FRIENDS": Failure(403, 10040, "不是好友", 0),
    "REQUEST_NOT_FOUND": Failure(404, 10037, "申请不存在", 100024),
    "RESULT_INVALID": Failure(400, 10001, "参数无效", 100002),
    "MESSAGE_INVALID": Failure(400, 10001, "参数无效", 100002),
    "SETTING_INVALID": Failure(400, 10001, "参数无效", 100002),
    "REMARK_INVALID": Failure(400, 10001, "参数无效", 100002),
    "GROUP_INVALID": Failure(400, 10001, "参数无效", 100002),
    # Videos and comments
    "VIDEO_NOT_FOUND": Failure(404, 10017, "视频不存在", 0),
    "COMMENT_NOT_FOUND": Failure(404, 10018, "评论不存在", 0),
    "VIDEO_INVALID": Failure(400, 10001, "参数无效", 0),
    "FILE_UNPLAYABLE": Failure(400, 10001, "参数无效", 0),
    "CAPTIONS_INVALID": Failure(400, 10001, "参数无效", 0),
    "LANGUAGE_INVALID": Failure(400, 10001, "参数无效", 0),
    "CAPTIONS_TOO_LARGE": Failure(413, 60002, "文件过大", 0),
    "TOO_MANY_CAPTIONS": Failure(409, 10096, "字幕已达上限", 0),
    "COMMENT_INVALID": Failure(400, 10001, "参数无效", 0),
    # Codes from 10022 on are ours, not the document's.
    "ROUTE_NOT_FOUND": Failure(404, 10022, "接口不存在", 100011),
    "METHOD_NOT_ALLOWED": Failure(405, 10023, "请求方法不允许", 100012),
    "ACCOUNT_DISABLED": Failure(403, 10024, "账号已停用", 100013),
    "SECOND_FACTOR_REQUIRED": Failure(401, 10072, "需要动态验证码", 100040),
    "SECOND_CODE_WRONG": Failure(401, 10073, "动态验证码错误", 100041),
    "SECOND_FACTOR_MISSING": Failure(403, 10074, "请先开启两步验证", 100042),
    "SECOND_FACTOR_ON": Failure(409, 10075, "两步验证已开启", 100043),
    "SECOND_FACTOR_OFF": Failure(409, 10076, "两步验证未开启", 100044),
    "TOO_MANY_EXPORTS": Failure(429, -20007, "请求过于频繁", 100006),
    "EXPORT_NOT_FOUND": Failure(404, 10071, "导出链接无效", 100025),
    "AUDIT_INVALID": Failure(400, 10001, "参数无效", 100002),
    "EMAIL_UNVERIFIED": Failure(400, 10025, "邮箱需要验证", 100002),
    "SESSION_NOT_FOUND": Failure(404, 10026, "会话不存在", 100014),
    "BODY_TOO_LARGE": Failure(413, 10027, "请求体过大", 100002),
    "HEADERS_TOO_LARGE": Failure(431, 10038, "请求头过大", 100002),
    "CLIENT_GONE": Failure(499, 10039, "客户端已断开", 100002),
    "CONTENT_TYPE_INVALID": Failure(415, 10028, "内容类型不支持", 100002),
    # Files. 60002 is the document's code for any upload that failed.
    "FILE_EMPTY": Failure(400, 60002, "文件为空", 0),
    "FILE_BROKEN": Failure(415, 60002, "文件损坏", 0),
    "FILE_TRUNCATED": Failure(415, 60002, "文件不完整", 0),
    "FILE_ENCRYPTED": Failure(415, 60002, "文件已加密", 0),
    "FILE_CODEC_UNSUPPORTED": Failure(415, 60002, "编码格式不支持", 0),
    "FILE_TYPE_REFUSED": Failure(415, 60002, "文件类型不支持", 0),
    "FILE_TOO_LARGE": Failure(413, 60002, "文件过大", 0),
    "UPLOAD_TOO_LARGE": Failure(413, 60002, "文件过大", 0),
    "UPLOAD_OVERRUN": Failure(413, 60002, "文件过大", 0),
    "QUOTA_EXCEEDED": Failure(429, 10050, "今日上传已达上限", 0),
    "STORAGE_EXCEEDED": Failure(403, 10063, "存储空间已满", 0),
    "VARIANT_INVALID": Failure(400, 10001, "参数无效", 100002),
    "OBJECT_KIND_INVALID": Failure(400, 10001, "参数无效", 100002),
    "OFFSET_MISMATCH": Failure(409, 10051, "上传位置不符", 0),
    "UPLOAD_FINISHED": Failure(403, 10052, "上传已完成", 0),
    "NOT_FAILED": Failure(409, 10053, "文件无需重试", 0),
    "OBJECT_NOT_FOUND": Failure(404, 10054, "文件不存在", 100002),
    "FILE_IN_USE": Failure(409, 10070, "文件正被视频使用", 0),
    "UPLOAD_NOT_FOUND": Failure(404, 10055, "上传不存在", 0),
    "RANGE_INVALID": Failure(416, 10056, "范围无效", 0),
    "TUS_VERSION_INVALID": Failure(412, 10057, "协议版本不支持", 0),
    "CHECKSUM_ALGORITHM_INVALID": Failure(400, 10058, "校验算法不支持", 0),
    "CHECKSUM_MISMATCH": Failure(460, 10059, "校验不符", 0),
    "BODY_SLOW": Failure(408, 10095, "请求超时", 100002),
    "BODY_INCOMPLETE": Failure(400, 10001, "参数无效", 100002),
    "HASH_INVALID": Failure(400, 10001, "参数无效", 0),
    "CHUNK_INVALID": INTERNAL,  # a bug of the gateway
    "STORE_UNAVAILABLE": UNAVAILABLE,
    "PROBE_OVERLOADED": UNAVAILABLE,
    "PROCESSING_INTERRUPTED": UNAVAILABLE,
    "PICTURE_OVERLOADED": UNAVAILABLE,
    # Chat
    "MESSAGE_NOT_FOUND": Failure(404, 10006, "消息不存在", 100002),
    "MESSAGE_TOO_LARGE": Failure(413, 10060, "消息过大", 0),
    "CONVERSATION_NOT_FOUND": Failure(404, 10061, "会话不存在", 100002),
    "ANSWER_AWAITED": Failure(403, 10064, "对方尚未同意，请等待回复", 0),
    "MUTE_INVALID": Failure(400, 10001, "参数无效", 0),
    "PIN_LIMIT_REACHED": Failure(409, 10066, "置顶会话已达上限", 0),
    "EDIT_FORBIDDEN": Failure(403, 10062, "不能修改该消息", 0),
    "KIND_INVALID": Failure(400, 10001, "参数无效", 0),
    "TICKET_INVALID": Failure(401, -20002, "token无效", 100003),
    "SOCIAL_UNAVAILABLE": UNAVAILABLE,
    "MEDIA_UNAVAILABLE": UNAVAILABLE,
    # Moderation
    "WORDS_REFUSED": Failure(400, 10091, "内容含有违禁词", 100050),
    "REPORT_INVALID": Failure(400, 10001, "参数无效", 100002),
    "SELF_REPORT": Failure(400, 10080, "不能举报自己", 100002),
    "VERB_INVALID": Failure(400, 10001, "参数无效", 100002),
    "NOTE_INVALID": Failure(400, 10001, "参数无效", 100002),
    "CASE_NOT_FOUND": Failure(404, 10081, "举报不存在", 100030),
    "CASE_CLAIMED": Failure(409, 10082, "举报正由他人处理", 100031),
    "CASE_CLOSED": Failure(409, 10083, "举报已处理", 100032),
    "ACT_NOT_FOUND": Failure(404, 10084, "处理记录不存在", 100033),
    "ACCOUNT_SUSPENDED": Failure(403, 10086, "账号已被暂停", 100035),
    "ACCOUNT_BANNED": Failure(403, 10087, "账号已被封禁", 100036),
    "DURATION_INVALID": Failure(400, 10001, "参数无效", 100002),
    "APPEAL_INVALID": Failure(400, 10001, "参数无效", 100002),
    "APPEAL_NOT_FOUND": Failure(404, 10088, "申诉不存在", 100037),
    "APPEAL_MADE": Failure(409, 10089, "已申诉过", 100038),
    "APPEAL_DECIDED": Failure(409, 10090, "申诉已处理", 100039),
    "ACT_IRREVERSIBLE": Failure(409, 10085, "该处理无法撤销", 100034),
    # Servers
    "DATABASE_UNAVAILABLE": Failure(503, 60004, "数据库错误", 100004),
    "CACHE_UNAVAILABLE": Failure(503, 60005, "缓存错误", 100001),
    "SMS_FAILED": Failure(503, 10065, "短信发送失败", 100001),
    "MAIL_FAILED": Failure(503, 60006, "邮件发送失败", 100001),
    "UNAVAILABLE": UNAVAILABLE,
    "OVERLOADED": UNAVAILABLE,
    "DEADLINE_TOO_SHORT": UNAVAILABLE,
    "CREDENTIAL_MISSING": INTERNAL,  # the gateway's internal secret is wrong
    HitokError.reason: INTERNAL,
}


def failure_of(reason: str) -> Failure:
    return FAILURES.get(reason, INTERNAL)
