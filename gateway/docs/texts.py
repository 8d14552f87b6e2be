"""The texts of the API page besides the routes: how to begin, and the routes' groups, in English and Chinese."""

from gateway.docs.summaries_zh import SUMMARIES as SUMMARIES_ZH
from gateway.http.openapi import Texts

INTRO_EN = """
Two families of routes share one set of accounts: the short-video app's (`/api/…`) and the chat app's (`/v1/…`).
Deprecated paths are other spellings of the first path. **Filter** by a group's name above the list.

### A token

1. `POST /api/v1/user/register` with `{"phone", "password", "nickname"}` (below, in *Chat app: users*: *Try it out*)
   answers with a `token`. By email: `send-code`, `register`, then `login`, which answers with `atoken` and `rtoken`.
2. Press **Authorize** and paste it; the page keeps it, and its examples name what you see. Elsewhere send
   `Authorization: Bearer <token>`.
3. A token that expired answers 401 with -20000: `POST /api/login/refresh-token` with the `rtoken` gives a new one.

### Answers and errors

Short-video: `{"code": 20000, "message", "data"}`. Chat app's users: `{"code": 200, "msg", "data"}`; its other routes
answer with the data alone. A refusal has a fitting HTTP status, its family's code, and the header
`x-error: REASON field`. [All codes of both families](/docs/errors). `429` and `503` say in `retry-after` how many
seconds to wait.

### Ids, pages, large uploads, sockets

- Ids are strings of digits: a JavaScript number cannot hold them. Lists have a `next_cursor`, empty on the last page.
- Files up to any size by [tus 1.0.0](https://tus.io/protocols/resumable-upload) at `/api/file/tus`: `POST` with
  `Upload-Length` and `Upload-Metadata: filename …`, then `PATCH` the address in `Location`; the last answer has
  the file's url in `x-file-url`. Small ones by `POST /api/file/upload`.
- The chat's socket is `/api/chat/ws?ticket=…`, with a ticket from `GET /api/chat/ws-ticket`. Every frame is in
  [asyncapi.yaml](/asyncapi.yaml).
"""
INTRO_ZH = """
两族接口共用一套账号：短视频应用（`/api/…`）和聊天应用（`/v1/…`）。标为弃用的路径是第一个路径的其他写法。可在列表上方按分组名称**筛选**。

### 获取令牌

1. `POST /api/v1/user/register`，参数 `{"phone", "password", "nickname"}`（见下方“聊天应用：用户”的 *Try it out*），
   返回 `token`。用邮箱则依次调用 `send-code`、`register`、`login`，返回 `atoken` 和 `rtoken`。
2. 点 **Authorize** 粘贴令牌，页面会记住它，示例会换成你能看到的内容。在别处请发送 `Authorization: Bearer <token>`。
3. 令牌过期时返回 401 和 -20000：用 `rtoken` 调用 `POST /api/login/refresh-token` 获取新令牌。

### 返回与错误

短视频：`{"code": 20000, "message", "data"}`。聊天应用的用户接口：`{"code": 200, "msg", "data"}`，其余接口直接返回数据。
出错时 HTTP 状态码、所属族的错误码和响应头 `x-error: 原因 字段` 会说明原因。[两族的全部错误码](/docs/errors)。
`429` 和 `503` 的 `retry-after` 给出需要等待的秒数。

### 编号、分页、大文件、长连接

- 编号是数字组成的字符串，因为 JavaScript 的数字存不下。列表有 `next_cursor`，最后一页为空。
- 任意大小的文件用 [tus 1.0.0](https://tus.io/protocols/resumable-upload) 上传到 `/api/file/tus`：`POST` 带
  `Upload-Length` 和 `Upload-Metadata: filename …`，再向 `Location` 给出的地址 `PATCH`；
  最后一段的响应头 `x-file-url` 是文件地址。小文件用 `POST /api/file/upload`。
- 聊天长连接是 `/api/chat/ws?ticket=…`，先用 `GET /api/chat/ws-ticket` 取得 ticket。
  所有帧见 [asyncapi.yaml](/asyncapi.yaml)。
"""
# By the module of a route below gateway/api.
GROUPS = {
    "shortvideo.login": ("Login", "登录与注册"),
    "shortvideo.users": ("Users", "用户"),
    "shortvideo.account.exports": ("Users", "用户"),
    "shortvideo.account.second_factor": ("Users", "用户"),
    "shortvideo.contacts": ("Friends", "好友"),
    "shortvideo.follows.follows": ("Follows", "关注"),
    "shortvideo.contact_settings": ("Friends", "好友"),
    "shortvideo.mutes": ("Friends", "好友"),
    "shortvideo.communities": ("Groups", "群组"),
    "shortvideo.feeds": ("Videos", "视频"),
    "shortvideo.videos": ("Videos", "视频"),
    "shortvideo.for_you.feed": ("The feed made for a user", "个性化推荐"),
    "shortvideo.for_you.settings": ("The feed made for a user", "个性化推荐"),
    "shortvideo.saved.saves": ("Saved videos", "收藏"),
    "shortvideo.discovery.tags": ("Tags", "话题"),
    "shortvideo.discovery.search": ("Search", "搜索"),
    "shortvideo.own_videos.captions": ("Videos", "视频"),
    "shortvideo.follows.feed": ("Videos", "视频"),
    "shortvideo.own_videos.pins": ("Videos", "视频"),
    "shortvideo.commenting.comments": ("Comments", "评论"),
    "shortvideo.commenting.changes": ("Comments", "评论"),
    "shortvideo.chat": ("Chat", "聊天"),
    "shortvideo.push.devices": ("Pushes", "推送"),
    "shortvideo.files": ("Files", "文件"),
    "shortvideo.reports": ("Reports and moderation", "举报与审核"),
    "shortvideo.moderation": ("Reports and moderation", "举报与审核"),
    "shortvideo.appeals": ("Reports and moderation", "举报与审核"),
    "shortvideo.admin": ("Console", "控制台"),
    "hichat.users": ("Chat app: users", "聊天应用：用户"),
    "hichat.friends": ("Chat app: friends", "聊天应用：好友"),
    "hichat.groups": ("Chat app: groups", "聊天应用：群组"),
    "hichat.messages": ("Chat app: messages", "聊天应用：消息"),
}
EN = Texts(INTRO_EN, {module: names[0] for module, names in GROUPS.items()}, {})
ZH = Texts(INTRO_ZH, {module: names[1] for module, names in GROUPS.items()}, SUMMARIES_ZH)
