"""api/contact/*mute*: users and words that the caller does not want to see."""

from msgspec import Struct

from gateway.api.shortvideo.contacts import ListPage, Target, UserPage, user_page
from gateway.api.shortvideo.users import OURS
from gateway.container import Call
from gateway.http.endpoint import NoParams, endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.params import Text
from protos.social.v1 import mutes_pb2 as pb


class OfWord(Struct):
    """A word or phrase of up to 50 characters."""

    word: Text


class MutedWords(Struct):
    """As they are compared: without case and width."""

    words: list[str]


@endpoint("POST", "/api/contact/mute", family=SHORT_VIDEO, limit=OURS)
async def mute(call: Call, params: Target) -> None:
    """No longer see a user's videos in feeds, their comments, nor notifications of what they do; they are not told."""
    await call.container.require_user(params.target_id)
    await call.container.mutes.MuteUser(pb.MuteUserRequest(user_id=params.target_id))
    call.container.muted.drop(call.caller.user_id)


@endpoint("POST", "/api/contact/unmute", family=SHORT_VIDEO, limit=OURS)
async def unmute(call: Call, params: Target) -> None:
    """See a user again."""
    await call.container.mutes.UnmuteUser(pb.UnmuteUserRequest(user_id=params.target_id))
    call.container.muted.drop(call.caller.user_id)


@endpoint("GET", "/api/contact/get-mute-list", family=SHORT_VIDEO, limit=OURS)
async def get_mute_list(call: Call, params: ListPage) -> UserPage:
    """The users whom the caller muted, the last muted first."""
    request = pb.ListMutedUsersRequest(cursor=params.cursor, limit=params.limit)
    page = await call.container.mutes.ListMutedUsers(request)
    return await user_page(call, page.user_ids, page.next_cursor, shown=set())


@endpoint("POST", "/api/contact/mute-word", family=SHORT_VIDEO, limit=OURS)
async def mute_word(call: Call, params: OfWord) -> None:
    """No longer see videos, comments and notifications in which others write that word; at most 200."""
    await call.container.mutes.MuteWord(pb.MuteWordRequest(word=params.word))
    call.container.muted.drop(call.caller.user_id)


@endpoint("POST", "/api/contact/unmute-word", family=SHORT_VIDEO, limit=OURS)
async def unmute_word(call: Call, params: OfWord) -> None:
    """See what has that word again."""
    await call.container.mutes.UnmuteWord(pb.UnmuteWordRequest(word=params.word))
    call.container.muted.drop(call.caller.user_id)


@endpoint("GET", "/api/contact/get-muted-words", family=SHORT_VIDEO, limit=OURS)
async def get_muted_words(call: Call, params: NoParams) -> MutedWords:
    """The words that the caller muted."""
    return MutedWords(list((await call.container.mutes.ListMutedWords(pb.ListMutedWordsRequest())).words))


endpoints = [mute, unmute, get_mute_list, mute_word, unmute_word, get_muted_words]
