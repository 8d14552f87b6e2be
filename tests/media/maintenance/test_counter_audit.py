"""Counters against rows: the drift that `check` finds and `repair` corrects, and deleted accounts."""

import asyncio

from protos.media.v1 import videos_pb2 as pb
from services.kit.sql.connection import AsyncConnection
from services.media.maintenance import counter_audit
from services.media.maintenance.counter_audit import BATCH, WRONG, DriftAudit
from services.media.relationships import projection
from services.media.videos import account_erasure
from tests.support import videos as v
from tests.support.social import act, new_users, refusal
from tests.support.videos import Videos, execute, faults, publish


async def test_drift_is_found_and_mended(videos: Videos) -> None:
    owner, fan = new_users(2)
    video = (await publish(videos, owner)).video_id
    top = (await v.comment(videos, fan, video)).comment_id
    await v.like(videos, fan, video)
    await execute(
        videos, "UPDATE video SET like_count = 9, comment_count = 9, share_count = 9 WHERE id = :id", id=video
    )
    await execute(videos, "UPDATE comment SET like_count = 9, reply_count = 9 WHERE id = :id", id=top)
    await execute(videos, "UPDATE shelf SET public_count = 9, friends_count = 9 WHERE owner_id = :id", id=owner)
    await execute(videos, "UPDATE tally SET public_count = public_count + 1 WHERE slot = 3")
    assert sum((await faults(videos)).values()) == 8
    async with videos.service.database.transaction() as connection:
        repaired = await counter_audit.repair(connection)
    assert sum(repaired.values()) == 8
    assert not await faults(videos)
    seen = await v.get(videos, owner, video)
    assert seen
    assert (seen.like_count, seen.comment_count, seen.share_count) == (1, 1, 0)


async def test_the_drift_audit_finds_what_drifted_a_few_rows_at_a_time(videos: Videos) -> None:
    owner, fan = new_users(2)
    ids = [(await publish(videos, owner)).video_id for _ in range(BATCH + 1)]
    top = (await v.comment(videos, fan, ids[-1])).comment_id
    await v.reply(videos, owner, top)
    await v.like(videos, fan, ids[-1])
    audit = DriftAudit()
    assert await round_of(audit, videos) == set()
    await execute(
        videos, "UPDATE video SET like_count = 9, comment_count = 9, share_count = 9 WHERE id = :id", id=ids[-1]
    )
    await execute(videos, "UPDATE comment SET like_count = 9, reply_count = 9 WHERE id = :id", id=top)
    await execute(videos, "UPDATE shelf SET public_count = 9, friends_count = 9 WHERE owner_id = :id", id=owner)
    wrong = {"video.like_count", "video.comment_count", "video.share_count", "comment.like_count"}
    wrong |= {"comment.reply_count", "shelf.public_count", "shelf.friends_count"}
    assert await round_of(audit, videos) == wrong
    assert await round_of(audit, videos) == wrong  # it begins anew
    async with videos.service.database.transaction() as connection:
        await counter_audit.repair(connection)
    assert await round_of(audit, videos) == set()


async def delete_account(connection: AsyncConnection, user_id: int) -> None:
    await projection.delete_user(connection, user_id)
    await account_erasure.schedule(connection, user_id)


async def round_of(audit: DriftAudit, videos: Videos) -> set[str]:
    """The counters found wrong while it looks at every video."""
    before, ((count,),) = drifted(), await execute(videos, "SELECT count(*) FROM video")
    for _ in range(count // BATCH + 1):
        await audit.step(videos.service.database)
    return {counter for counter, found in drifted().items() if found > before[counter]}


def drifted() -> dict[str, float]:
    (metric,) = WRONG.collect()
    return {sample.labels["counter"]: sample.value for sample in metric.samples if sample.name.endswith("_total")}


async def test_a_deleted_account_leaves_nothing(videos: Videos) -> None:
    deleted, other = new_users(2)
    mine, theirs = (await publish(videos, deleted)).video_id, (await publish(videos, other)).video_id
    await v.befriend(videos, deleted, other)
    top = (await v.comment(videos, other, theirs)).comment_id
    own = [(await v.comment(videos, deleted, theirs)).comment_id for _ in range(2)]
    await v.reply(videos, other, own[0])
    await v.reply(videos, deleted, top)
    await v.reply(videos, deleted, own[0])
    await v.comment(videos, deleted, mine)
    await v.like(videos, deleted, theirs)
    await v.like(videos, other, mine)
    await v.like_comment(videos, deleted, top)
    await act(deleted, videos.videos.ShareVideo, pb.ShareVideoRequest(video_id=theirs))
    async with videos.service.database.transaction() as connection:
        await delete_account(connection, deleted)
    while await account_erasure.erase_batch(videos.service):
        pass
    seen = await v.get(videos, other, theirs)
    assert seen
    assert (seen.like_count, seen.comment_count, seen.share_count) == (0, 1, 0)
    assert (await v.get_comment(videos, other, top)).reply_count == 0
    assert await v.get(videos, other, mine) is None
    for table, column in (("video_like", "user_id"), ("comment_like", "user_id"), ("video_share", "user_id")):
        assert not await execute(videos, f"SELECT FROM {table} WHERE {column} = :id", id=deleted)
    assert not await execute(videos, "SELECT FROM standing WHERE user_id = :id OR peer_id = :id", id=deleted)
    assert not await execute(videos, "SELECT FROM comment WHERE user_id = :id AND content <> 'null'", id=deleted)


async def test_many_leave_while_others_go_on(videos: Videos) -> None:
    owner, *crowd = new_users(13)
    ids = [(await publish(videos, owner)).video_id for _ in range(4)]
    tops = [(await v.comment(videos, user, id)).comment_id for user in crowd for id in ids]
    await asyncio.gather(*(v.like(videos, user, id) for user in crowd for id in ids))
    await asyncio.gather(*(v.like_comment(videos, user, top) for user in crowd for top in tops[::7]))
    async with videos.service.database.transaction() as connection:
        for user in crowd[:6]:
            await delete_account(connection, user)

    async def remove() -> None:
        while await account_erasure.erase_batch(videos.service):
            pass

    going_on = [v.like(videos, user, id, bool(n % 2)) for n, user in enumerate(crowd[6:]) for id in ids]
    answers = [refusal(v.reply(videos, user, top)) for user in crowd[6:] for top in tops[::11]]
    await asyncio.gather(remove(), remove(), *going_on, *answers)


async def test_a_deleted_under_what_is_deleted_already(videos: Videos) -> None:
    deleted, other = new_users(2)
    video, gone = (await publish(videos, other)).video_id, (await publish(videos, other)).video_id
    top = (await v.comment(videos, other, video)).comment_id
    await v.reply(videos, deleted, top)
    await v.comment(videos, deleted, gone)
    await v.uncomment(videos, other, top)
    await v.delete(videos, other, gone)
    async with videos.service.database.transaction() as connection:
        await delete_account(connection, deleted)
    while await account_erasure.erase_batch(videos.service):
        pass
    assert not await execute(videos, "SELECT FROM comment WHERE user_id = :id AND content <> 'null'", id=deleted)


async def test_owners_who_are_not_counted_are_found(videos: Videos) -> None:
    (owner,) = new_users(1)
    await publish(videos, owner)
    await execute(videos, "DELETE FROM shelf WHERE owner_id = :id", id=owner)
    assert sum((await faults(videos)).values()) == 1
    async with videos.service.database.transaction() as connection:
        assert sum((await counter_audit.repair(connection)).values()) == 1


async def test_a_deleted_account_leaves_no_file(videos: Videos) -> None:
    deleted, other = new_users(2)
    shown, unused, shared = [await v.a_file(videos, deleted) for _ in range(3)]
    await publish(videos, deleted, video_url=shown)
    await execute(videos, "INSERT INTO upload (object_hash, user_id, size) VALUES (:h, :u, 1)", h=shared[7:71], u=other)
    await publish(videos, other, video_url=shared)
    async with videos.service.database.transaction() as connection:
        await delete_account(connection, deleted)
    while await account_erasure.erase_batch(videos.service):
        pass
    hashes = [path[7:71] for path in (shown, unused, shared)]
    kept = await execute(videos, "SELECT hash FROM object WHERE hash = ANY(:hashes)", hashes=hashes)
    assert [row.hash for row in kept] == [shared[7:71]]
    assert not await execute(videos, "SELECT FROM upload WHERE user_id = :id", id=deleted)
