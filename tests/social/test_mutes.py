"""Users and words that users muted, of which nobody else learns."""

from collections.abc import Awaitable
from typing import Any

import pytest

from protos.social.v1 import mutes_pb2 as pb
from services.social.consumer import forget_user
from services.social.mutes import mutes
from tests.support.social import Running, act, events_of, execute, new_user, new_users, outcomes, pair_of, refusal


async def mute(social: Running, user: int, muted: int) -> None:
    await act(user, social.mutes.MuteUser, pb.MuteUserRequest(user_id=muted))


async def unmute(social: Running, user: int, muted: int) -> None:
    await act(user, social.mutes.UnmuteUser, pb.UnmuteUserRequest(user_id=muted))


async def mute_word(social: Running, user: int, word: str) -> None:
    await act(user, social.mutes.MuteWord, pb.MuteWordRequest(word=word))


async def muted_by(social: Running, user: int, limit: int = 500) -> list[int]:
    """All pages."""
    found: list[int] = []
    request = pb.ListMutedUsersRequest(limit=limit)
    while True:
        page = await act(user, social.mutes.ListMutedUsers, request)
        found += page.user_ids
        if not page.next_cursor:
            return found
        request.cursor = page.next_cursor


async def words_of(social: Running, user: int) -> list[str]:
    return list((await act(user, social.mutes.ListMutedWords, pb.ListMutedWordsRequest())).words)


async def test_the_last_muted_comes_first_and_each_once(social: Running) -> None:
    me, *others = new_users(6)
    for other in [*others, others[0]]:
        await mute(social, me, other)
    assert await muted_by(social, me, limit=2) == others[::-1]
    for _ in range(2):
        await unmute(social, me, others[4])
    assert await muted_by(social, me) == others[3::-1]
    assert await muted_by(social, others[0]) == []
    verbs = [subject for subject, _ in await events_of(social, pair_of(me, others[4]))]
    assert verbs == ["user.muted", "user.unmuted"]


async def test_words_are_compared_without_case_and_width(social: Running) -> None:
    me = new_user()
    for word in ("Spoiler", "ＳＰＯＩＬＥＲ", "  剧透 ", "two  words"):
        await mute_word(social, me, word)
    assert await words_of(social, me) == ["spoiler", "two words", "剧透"]
    await act(me, social.mutes.UnmuteWord, pb.UnmuteWordRequest(word="SPOILER"))
    assert await words_of(social, me) == ["two words", "剧透"]
    assert (await events_of(social, f"user:{me}"))[-1][1]["words"] == ["two words", "剧透"]
    for wrong in ("", " \t", "x" * 51, "x" * 100_000, "a\0b"):
        assert await refusal(mute_word(social, me, wrong)) == "WORD_INVALID"


async def test_who_cannot_be_muted_and_by_whom(social: Running) -> None:
    me = new_user()
    assert await refusal(mute(social, me, me)) == "SELF_MUTE"
    assert await refusal(mute(social, me, 0)) == "USER_NOT_FOUND"
    assert await refusal(mute(social, 0, me)) == await refusal(mute_word(social, 0, "x")) == "CALLER_MISSING"
    await unmute(social, me, new_user())


async def test_no_more_than_the_limit_whoever_races(social: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutes, "MAX_USERS", 3)
    monkeypatch.setattr(mutes, "MAX_WORDS", 2)
    me, others = new_user(), new_users(10)
    calls: list[Awaitable[Any]] = [mute(social, me, other) for other in others for _ in range(5)]
    found = await outcomes(*calls)
    assert found == {"": 15, "MUTE_LIMIT_REACHED": 35} and len(await muted_by(social, me)) == 3
    await outcomes(*(mute_word(social, me, f"w{n % 10}") for n in range(50)))
    assert len(await words_of(social, me)) == 2


async def test_what_many_users_muted_in_one_call(social: Running) -> None:
    a, b, c = new_users(3)
    await mute(social, a, c)
    await mute_word(social, b, "x")
    found = (await social.mutes.BatchGetMutes(pb.BatchGetMutesRequest(user_ids=[b, a, c, a]))).mutes
    assert [(list(each.user_ids), list(each.words)) for each in found] == [([], ["x"]), ([c], []), ([], []), ([c], [])]
    many = pb.BatchGetMutesRequest(user_ids=range(1, 502))
    assert await refusal(social.mutes.BatchGetMutes(many)) == "BATCH_TOO_LARGE"


async def test_an_erased_account_leaves_none(social: Running) -> None:
    gone, other = new_users(2)
    await mute(social, gone, other)
    await mute(social, other, gone)
    await mute_word(social, gone, "x")
    async with social.service.database.transaction() as connection:
        await forget_user(connection, gone)
    assert await execute(social, "SELECT FROM mute WHERE :id IN (user_id, muted_id)", id=gone) == []
    assert await words_of(social, gone) == []
