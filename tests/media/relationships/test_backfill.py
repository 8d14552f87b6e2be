"""The copy of friendships and blocks, rebuilt from the social service."""

from collections.abc import AsyncIterator

import pytest

from protos.media.v1 import videos_pb2 as pb
from services.media.relationships import backfill
from tests.support import social as s
from tests.support.servers import Servers
from tests.support.social import Running as Social
from tests.support.social import new_users, running_social_service, social_settings
from tests.support.videos import Videos, execute, get, publish, social_event

LATER = 10**12  # an event's number


@pytest.fixture(scope="module")
async def social(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Social]:
    settings = social_settings(servers.create_database("graph_social"), servers, tmp_path_factory.mktemp("social"))
    async with running_social_service(settings) as running:
        yield running


async def test_what_no_event_told_is_known_then(
    videos: Videos, social: Social, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pages of two; and what is no more is forgotten, but for what an event told since."""
    monkeypatch.setattr(backfill, "PAGE", 2)
    owner, *friends, blocked, blocker, stale, newer, pardoned, imposed = new_users(10)
    for friend in friends:
        await s.add(social, friend, owner)
        await s.add(social, owner, friend)
    await s.add(social, imposed, owner)
    await s.block(social, owner, blocked)
    await s.block(social, blocker, owner)
    await social_event(videos, "friend.added", owner, stale, 1)
    await social_event(videos, "user.blocked", owner, pardoned, 1)
    await social_event(videos, "friend.added", owner, newer, LATER)
    await social_event(videos, "friend.removed", owner, friends[0], LATER)
    public = (await publish(videos, owner)).video_id
    video = (await publish(videos, owner, pb.FRIENDS)).video_id
    for _ in range(2):  # and again it changes nothing
        pairs = await backfill.copy_standings(videos.service.database, social.friends, settle=0)
        assert pairs == 2 * len(friends) + 4
        seen = {user: bool(await get(videos, user, video)) for user in (*friends, stale, newer, blocked, imposed)}
        assert seen == {user: user in (*friends[1:], newer) for user in seen}
        for user in (blocked, blocker):
            assert await get(videos, user, public) is None
        assert await get(videos, pardoned, public)


async def test_later_events_go_on_from_there(videos: Videos, social: Social) -> None:
    owner, friend, blocked = new_users(3)
    await s.add(social, owner, friend)
    await s.block(social, owner, blocked)
    await backfill.copy_standings(videos.service.database, social.friends, settle=0)
    video, public = (await publish(videos, owner, pb.FRIENDS)).video_id, (await publish(videos, owner)).video_id
    ((last,),) = await execute(videos, "SELECT max(friend_event) FROM standing WHERE user_id = :id", id=owner)
    await social_event(videos, "friend.removed", friend, owner, last + 1)
    await social_event(videos, "user.unblocked", owner, blocked, last + 2)
    assert await get(videos, friend, video) is None
    assert await get(videos, blocked, public)
