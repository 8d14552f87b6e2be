"""Paths of files. The caller decides who gets one: sign only for a viewer who may see the file."""

from services.objectstore.signatures import MEDIA_PREFIX, sign_path


class Signer:
    def __init__(self, internal_secret: str, seconds: int) -> None:
        self._secret, self._seconds = internal_secret, seconds

    def path(self, file: str, private: bool, duration: int = 0, hidden: bool = False) -> str:
        """Returns `/media/<file>`, signed if the file is private; signed for a moderator if it is `hidden`.

        `duration`: milliseconds of sound or video. The path is valid for twice as long, so that a viewer who pauses
        can go on, but at least for the seconds of the setting.
        """
        seconds = max(self._seconds, 2 * duration // 1_000)
        return sign_path(self._secret, file, seconds, hidden) if private or hidden else f"{MEDIA_PREFIX}{file}"
