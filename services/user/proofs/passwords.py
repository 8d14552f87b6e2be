"""Hashes passwords with bcrypt, in threads of their own and with a bounded queue."""

import asyncio
import os
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import bcrypt

from services.user.errors import Overloaded, PasswordInvalid

MIN_BYTES, MAX_BYTES = 6, 72
MAX_WAITING = 64  # hashes in the queue; later ones would time out anyway
T = TypeVar("T")
NICENESS = 10  # logins give way to the event loop and to other processes


class Passwords:
    """`decoy` is verified in place of the hash of an account that does not exist."""

    def __init__(self, cost: int, threads: int) -> None:
        self._cost = cost
        self._executor = ThreadPoolExecutor(threads, "bcrypt", initializer=_yield_to_others)
        self._waiting = 0
        self._limit = threads + MAX_WAITING
        self.decoy = bcrypt.hashpw(os.urandom(16), bcrypt.gensalt(cost)).decode()

    async def hash(self, password: str) -> str:
        """Raises PasswordInvalid, Overloaded."""
        return (await self._run(bcrypt.hashpw, check_password(password), bcrypt.gensalt(self._cost))).decode()

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Takes as long without a hash (no such account) as with one. Raises Overloaded.

        Hashes from before passwords were normalised are of the password as it was typed.
        """
        for form in dict.fromkeys((normalise(password), password)):
            if await self._verify(form.encode(), hashed):
                return True
        return False

    async def _verify(self, secret: bytes, hashed: str | None) -> bool:
        fits = MIN_BYTES <= len(secret) <= MAX_BYTES
        same = await self._run(bcrypt.checkpw, secret if fits else b"unfit", (hashed or self.decoy).encode())
        return same and fits and bool(hashed)

    async def _run(self, function: Callable[..., T], *args: bytes) -> T:
        if self._waiting >= self._limit:
            raise Overloaded
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, function, *args)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._executor.shutdown(cancel_futures=True)


def check_password(password: str) -> bytes:
    """The bytes to hash. Raises PasswordInvalid, also for a password longer than bcrypt reads."""
    secret = normalise(password).encode()
    if not all(MIN_BYTES <= len(form) <= MAX_BYTES for form in (secret, password.encode())) or b"\0" in secret:
        raise PasswordInvalid(f"{MIN_BYTES} to {MAX_BYTES} bytes")
    return secret


def normalise(password: str) -> str:
    """NFKC: keyboards and systems type the same letters in different forms."""
    return unicodedata.normalize("NFKC", password)


def _yield_to_others() -> None:
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
