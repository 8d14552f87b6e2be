"""The three envelopes of responses (docs/contract/api.md, "Envelopes")."""

from typing import Any, ClassVar

import msgspec

from gateway.http.failures import Failure

_encode = msgspec.json.Encoder().encode


class Family:
    """How one of the API documents wraps results and errors, and which paths belong to it."""

    name: ClassVar[str]
    prefixes: ClassVar[tuple[str, ...]]

    def success(self, result: Any) -> bytes:
        raise NotImplementedError

    def failure(self, failure: Failure) -> bytes:
        raise NotImplementedError


class ShortVideoFamily(Family):
    """`{"code":20000,"message":"成功","data":{...}}`"""

    name = "short-video"
    prefixes = ("/",)
    _head = '{"code":20000,"message":"成功","data":'.encode()

    def success(self, result: Any) -> bytes:
        return self._head + (b"{}" if result is None else _encode(result)) + b"}"

    def failure(self, failure: Failure) -> bytes:
        return _encode({"code": failure.video_code, "message": failure.message, "data": {}})


class ChatFamily(Family):
    """`{"code":200,"msg":"","data":{...}}`"""

    name = "chat: users"
    prefixes: ClassVar[tuple[str, ...]] = ("/api/v1/user", "/api/v2/user")

    def success(self, result: Any) -> bytes:
        return b'{"code":200,"msg":"","data":' + _encode(result) + b"}"

    def failure(self, failure: Failure) -> bytes:
        return _encode({"code": failure.chat_code, "msg": failure.message, "data": None})


class ChatSocialFamily(ChatFamily):
    """Results without an envelope, errors in the one of ChatFamily."""

    name = "chat: social"
    prefixes = ("/v1/", "/v/", "/friend/")

    def success(self, result: Any) -> bytes:
        return b"{}" if result is None else _encode(result)


SHORT_VIDEO, CHAT, CHAT_SOCIAL = ShortVideoFamily(), ChatFamily(), ChatSocialFamily()


def family_of(path: str) -> Family:
    """The family whose envelope an error on `path` has, whether the route exists or not."""
    return next((family for family in (CHAT, CHAT_SOCIAL) if path.startswith(family.prefixes)), SHORT_VIDEO)
