"""The reactions to one message while they are changed."""

from collections.abc import Iterable
from typing import Any

from services.chat.messages import MessageKey


class Tally:
    """`counts`: emoji → how many users reacted so, in the order of first use. `held`: the emoji of the users asked
    about. `added` and `removed`: (user id, emoji) that differ from what is stored. `message`: what was read of it."""

    message: Any = None

    def __init__(self, key: MessageKey, rev: int, counts: Iterable[tuple[str, int]]) -> None:
        self.key, self.rev = key, rev
        self.counts = dict(counts)
        self.held: dict[int, set[str]] = {}
        self.added: dict[tuple[int, str], None] = {}
        self.removed: dict[tuple[int, str], None] = {}

    def set(self, user_id: int, emoji: str, reacted: bool) -> None:
        held = self.held.setdefault(user_id, set())
        if reacted == (emoji in held):
            return
        mine, undone, done = (user_id, emoji), *((self.removed, self.added) if reacted else (self.added, self.removed))
        if mine in undone:
            del undone[mine]
        else:
            done[mine] = None
        (held.add if reacted else held.discard)(emoji)
        self._count(emoji, 1 if reacted else -1)

    def _count(self, emoji: str, step: int) -> None:
        self.counts[emoji] = self.counts.get(emoji, 0) + step
        if not self.counts[emoji]:
            del self.counts[emoji]

    def rows(self) -> list[tuple[str, int]]:
        return list(self.counts.items())
