"""The shapes that answers come in: three of them, one an API document."""

from typing import Any, ClassVar

import msgspec

from gateway.http.errors import Failure

_encode = msgspec.json.Encoder().encode


class Family:
    """How one document wraps results and errors, and which paths are its own."""

    name: ClassVar[str]
    prefixes: ClassVar[tuple[str, ...]]

    def success(self, result: Any) -> bytes:
        raise NotImplementedError

    def failure(self, failure: Failure) -> bytes:
        raise NotImplementedError


class ShortVideo(Family):
    """`{"code":20000,"message":"成功","data":{...}}`"""

    name = "short-video"
    prefixes = ("/",)
    _head = '{"code":20000,"message":"成功","data":'.encode()

    def success(self, result: Any) -> bytes:
        return self._head + (b"{}" if result is None else _encode(result)) + b"}"

    def failure(self, failure: Failure) -> bytes:
        return _encode({"code": failure.video_code, "message": failure.message, "data": {}})


class Chat(Family):
    """`{"code":200,"msg":"","data":{...}}`"""

    name = "chat: users"
    prefixes: ClassVar[tuple[str, ...]] = ("/api/v1/user", "/api/v2/user")

    def success(self, result: Any) -> bytes:
        return b'{"code":200,"msg":"","data":' + _encode(result) + b"}"

    def failure(self, failure: Failure) -> bytes:
        return _encode({"code": failure.chat_code, "msg": failure.message, "data": None})


class ChatSocial(Chat):
    """The bare object; errors as in the rest of its family."""

    name = "chat: social"
    prefixes = ("/v1/", "/v/", "/friend/")

    def success(self, result: Any) -> bytes:
        return b"{}" if result is None else _encode(result)


SHORT_VIDEO, CHAT, CHAT_SOCIAL = ShortVideo(), Chat(), ChatSocial()


def family_of(path: str) -> Family:
    """Whose envelope an error on `path` comes in, known route or not."""
    return next((family for family in (CHAT, CHAT_SOCIAL) if path.startswith(family.prefixes)), SHORT_VIDEO)
