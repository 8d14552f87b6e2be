"""Paths of files. The caller decides who gets one: sign only for a viewer who may see the file."""

from services.objectstore.signatures import MEDIA_PREFIX, sign_path


class Signer:
    def __init__(self, internal_secret: str, seconds: int) -> None:
        self._secret, self._seconds = internal_secret, seconds

    def path(self, file: str, private: bool) -> str:
        """Returns `/media/<file>`, signed if the file is private."""
        return sign_path(self._secret, file, self._seconds) if private else f"{MEDIA_PREFIX}{file}"
