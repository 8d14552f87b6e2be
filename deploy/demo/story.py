"""The content of the demo (story.toml), and what a seed chooses: phone numbers, likes, the look of each video."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Literal
from uuid import NAMESPACE_URL, uuid5

import msgspec
from msgspec import Struct, field

from deploy.demo.clips import LANDSCAPE, PORTRAIT, Clip

FILE = Path(__file__).with_name("story.toml")
SECONDS = 5.0
EMOJI = ("👍", "❤️", "😂", "🎉", "🔥")
REACTING = 0.25  # share of those who read a message
Line = tuple[str, str]
"""The key of a person, and what they say."""


class Person(Struct, frozen=True):
    key: str
    nickname: str
    bio: str
    email: bool = False
    """They can also log in by email. Few can: a gateway mails at most four codes per minute to one visitor."""


class FriendRequest(Struct, frozen=True):
    by: str
    to: str
    text: str


class Friends(Struct, frozen=True):
    pairs: list[tuple[str, str]]
    requests: list[FriendRequest]


class Group(Struct, frozen=True):
    name: str
    description: str
    owner: str
    members: list[str]
    talk: list[Line]
    approval: bool = False
    applicants: list[str] = field(default_factory=list)


class Reply(Struct, frozen=True):
    by: str
    text: str


class Comment(Reply, frozen=True):
    replies: list[Reply] = field(default_factory=list)


class Video(Struct, frozen=True):
    owner: str
    scene: str
    title: str
    description: str
    portrait: bool = False
    visibility: Literal["public", "friends", "private"] = "public"
    comments: list[Comment] = field(default_factory=list)


class Chat(Struct, frozen=True):
    between: tuple[str, str]
    talk: list[Line]


class Story(Struct, frozen=True):
    people: list[Person]
    friends: Friends
    groups: list[Group]
    videos: list[Video]
    chats: list[Chat]


def read_story() -> Story:
    return msgspec.toml.decode(FILE.read_bytes(), type=Story)


def friends_of(story: Story, key: str) -> list[str]:
    return [pair[1 - pair.index(key)] for pair in story.friends.pairs if key in pair]


class SeededChoices:
    """All random choices. Each depends on the seed and the question only, so a run that continues another makes the
    same choices."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def random(self, *question: object) -> Random:
        return Random(f"{self.seed}/{question}")  # noqa: S311 - to be the same each time

    def phone(self, person: Person) -> str:
        return f"+86175{self.random('phone', person.key).randrange(10**8):08}"

    def email(self, person: Person) -> str:
        return f"{person.key}{self.seed if self.seed != 1 else ''}@example.com"

    def clip(self, video: Video, seconds: float = SECONDS) -> Clip:
        size = PORTRAIT if video.portrait else LANDSCAPE
        return Clip(video.scene, *size, seconds, self.random("clip", video.title).getrandbits(32))

    def likers(self, of: str, people: Sequence[str]) -> list[str]:
        """The people who like this video."""
        random = self.random("likers", of)
        return random.sample(people, random.randrange(len(people) // 3, len(people) + 1))

    def reactions(self, talk: str, number: int, readers: Sequence[str]) -> list[tuple[str, str]]:
        """Who reacts to this message, and with which emoji."""
        random = self.random("reactions", talk, number)
        return [(key, random.choice(EMOJI)) for key in readers if random.random() < REACTING]

    def message_id(self, talk: str, number: int) -> str:
        """A stable id: a message that is sent again is stored once."""
        return str(uuid5(NAMESPACE_URL, f"hitok-demo/{self.seed}/{talk}/{number}"))
