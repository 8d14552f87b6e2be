"""Hashes passwords with bcrypt, in threads of their own and with a queue that is bounded by time."""

import asyncio
import os
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import TypeVar

import bcrypt

from services.user.errors import Overloaded, PasswordInvalid

MIN_BYTES, MAX_BYTES = 6, 72
# For a login, and for a new password: who chose one has already used a code, and there are few of them.
LOGIN_QUEUE_SECONDS, NEW_QUEUE_SECONDS = 0.8, 4.0
RECENT = 4  # hashes that the mean duration follows
T = TypeVar("T")
# Logins give way to the event loops, but keep a share of a busy machine: at 10 they got a twentieth of a core.
NICENESS = 4


class Passwords:
    """`decoy` is verified in place of the hash of an account that does not exist."""

    def __init__(self, cost: int, threads: int) -> None:
        """`threads`: 0 for one per core."""
        self._cost = cost
        self._threads = threads or os.cpu_count() or 1
        self._executor = ThreadPoolExecutor(self._threads, "bcrypt", initializer=_yield_to_others)
        self._unfinished = 0
        began = monotonic()
        self.decoy = bcrypt.hashpw(os.urandom(16), bcrypt.gensalt(cost)).decode()
        self._seconds = monotonic() - began  # that one takes, as measured lately

    def require_room(self, most: float = LOGIN_QUEUE_SECONDS) -> None:
        """Raises Overloaded if a password would wait for more than `most` seconds. Cheap: logins ask first."""
        wait = (self._unfinished - self._threads + 1) * self._seconds / self._threads
        if wait > most:
            raise Overloaded(retry_after=wait)

    async def hash(self, password: str) -> str:
        """Raises PasswordInvalid, Overloaded."""
        secret, salt = check_password(password), bcrypt.gensalt(self._cost)
        return (await self._run(NEW_QUEUE_SECONDS, bcrypt.hashpw, secret, salt)).decode()

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
        against = (hashed or self.decoy).encode()
        same = await self._run(LOGIN_QUEUE_SECONDS, bcrypt.checkpw, secret if fits else b"unfit", against)
        return same and fits and bool(hashed)

    async def _run(self, most: float, function: Callable[..., T], *args: bytes) -> T:
        self.require_room(most)
        self._unfinished += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._executor, self._measured, monotonic() + most, function, *args)
        finally:
            self._unfinished -= 1

    def _measured(self, latest: float, function: Callable[..., T], *args: bytes) -> T:
        began = monotonic()
        if began > latest:  # the hashes before it took longer than expected
            raise Overloaded(retry_after=LOGIN_QUEUE_SECONDS)
        try:
            return function(*args)
        finally:
            self._seconds += (monotonic() - began - self._seconds) / RECENT

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
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, min(os.getpriority(os.PRIO_PROCESS, thread) + NICENESS, 19))
