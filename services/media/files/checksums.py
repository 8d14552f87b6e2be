"""Checksums of the tus protocol: `<algorithm> <base64 of the digest>`."""

import base64
import binascii
import hashlib

from services.media.errors import ChecksumAlgorithmInvalid, ChecksumMismatch

ALGORITHMS = ("sha1", "sha256", "md5")  # the protocol requires the first


class Checksum:
    def __init__(self, header: str) -> None:
        """Raises ChecksumAlgorithmInvalid."""
        algorithm, _, digest = header.partition(" ")
        if algorithm not in ALGORITHMS:
            raise ChecksumAlgorithmInvalid
        self._hash = hashlib.new(algorithm, usedforsecurity=False)
        try:
            self._expected = base64.b64decode(digest, validate=True)
        except binascii.Error:
            raise ChecksumAlgorithmInvalid from None

    def update(self, chunk: bytes) -> None:
        self._hash.update(chunk)

    def check(self) -> None:
        """Raises ChecksumMismatch."""
        if self._hash.digest() != self._expected:
            raise ChecksumMismatch
