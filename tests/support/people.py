"""Users with a front end each, and their relations to the owner of a group, for tests of contacts."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from protos.social.v1.friends_pb2 import REFUSED
from protos.social.v1.mutes_pb2 import MuteUserRequest
from services.kit import telemetry
from tests.support import social as graph
from tests.support.gateway import FrontEnd
from tests.support.social import Running as Social
from tests.support.user import Running as Users
from tests.support.user import new_name, phone_account


class Person(FrontEnd):
    """A front end that knows its user."""

    id: int
    uid: str
    name: str


async def new_person(visitor: FrontEnd, user: Users) -> Person:
    name = new_name()
    issued = await phone_account(user, nickname=name)
    person = Person(visitor.http, issued.atoken)
    person.id, person.uid, person.name = issued.user_id, str(issued.user_id), name
    return person


async def new_people(visitor: FrontEnd, user: Users, count: int) -> list[Person]:
    return list(await asyncio.gather(*(new_person(visitor, user) for _ in range(count))))


BETWEEN = ("added", "former", "refused", "muted")  # what `relate` makes


@dataclass(slots=True)
class World:
    """A group (by approval) with its people; and of its owner a friend, a blocked user, a stranger and what lies
    between."""

    visitor: FrontEnd
    users: Users
    social: Social
    owner: Person
    manager: Person
    member: Person
    friend: Person
    stranger: Person
    blocked: Person
    added: Person  # added the owner, who did not agree
    former: Person  # was a friend until the owner ended it
    refused: Person  # asked the owner, who refused
    muted: Person  # whom the owner muted
    group: int

    async def newcomer(self) -> Person:
        return await new_person(self.visitor, self.users)

    async def new_member(self) -> Person:
        person = await self.newcomer()
        await graph.invite(self.social, self.owner.id, self.group, person.id)
        await graph.join(self.social, person.id, self.group)
        return person

    async def new_friend_request(self) -> int:
        """A request to the owner."""
        person = await self.newcomer()
        await graph.ask(self.social, person.id, self.owner.id)
        return await graph.request_between(self.social, person.id, self.owner.id)

    async def new_application(self) -> int:
        person = await self.newcomer()
        await graph.join(self.social, person.id, self.group)
        return (await graph.applications(self.social, person.id))[0].request_id


async def new_world(visitor: FrontEnd, users: Users, social: Social) -> World:
    owner, manager, member, *others = await new_people(visitor, users, 10)
    group = await graph.group_with(social, owner.id, manager.id, member.id, managers=[manager.id])
    named = dict(zip(("friend", "stranger", "blocked", *BETWEEN), others, strict=True))
    world = World(visitor, users, social, owner, manager, member, group=group, **named)
    await graph.add(social, owner.id, world.friend.id)
    await graph.add(social, world.friend.id, owner.id)
    await graph.block(social, owner.id, world.blocked.id)
    await relate(social, owner, world.added, world.former, world.refused, world.muted)
    return world


async def relate(social: Social, owner: Person, added: Person, former: Person, refused: Person, muted: Person) -> None:
    """Makes them to the owner what their names say."""
    await graph.add(social, added.id, owner.id)
    await graph.add(social, former.id, owner.id)
    await graph.add(social, owner.id, former.id)
    await graph.unfriend(social, owner.id, former.id)
    await graph.ask(social, refused.id, owner.id)
    request = await graph.request_between(social, refused.id, owner.id)
    await graph.handle(social, owner.id, request, REFUSED)
    await graph.act(owner.id, social.mutes.MuteUser, MuteUserRequest(user_id=muted.id))


@contextmanager
def counting_calls() -> Iterator[Counter[str]]:
    """Counts the RPCs called in the block, by service: `hitok.user.v1.Users`. Filled when the block ends."""
    counts: Counter[str] = Counter()
    before = _calls()
    yield counts
    counts.update(_calls() - before)


def _calls() -> Counter[str]:
    calls: Counter[str] = Counter()
    for metric in telemetry.CALLED.collect():
        for sample in metric.samples:
            if sample.name.endswith("_count"):
                calls[sample.labels["method"].split("/")[1]] += int(sample.value)
    return calls
