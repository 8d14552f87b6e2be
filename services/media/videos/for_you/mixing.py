"""Orders rated videos: the best first, but an author not twice in a row, and some that few have seen."""

import heapq
import random
from collections import Counter, deque
from collections.abc import Iterator, Sequence

from protos.media.v1.videos_pb2 import WHY_FRESH
from services.media.videos.for_you.scoring import Rated

APART = 3  # videos by others between two of one author, while there are others
AGAIN = 0.35  # what each video of an author that is listed takes from their next
TRIED = 6  # of so many one is a fresh one, taken by chance


def mix(rated: Sequence[Rated], most: int) -> list[Rated]:
    """At most `most` of them."""
    fresh = deque(random.sample(found := [each for each in rated if each.is_fresh], len(found)))
    listed: list[Rated] = []
    taken: set[int] = set()
    for each in _by_author(rated):
        if len(listed) % TRIED == TRIED - 1 and (one := _next(fresh, taken)):
            taken.add(one.id)
            listed.append(one._replace(why=WHY_FRESH))
        if each.id not in taken:
            taken.add(each.id)
            listed.append(each)
        if len(listed) >= most:
            break
    return listed[:most]


def _next(fresh: deque[Rated], taken: set[int]) -> Rated | None:
    while fresh:
        if (one := fresh.popleft()).id not in taken:
            return one
    return None


def _by_author(rated: Sequence[Rated]) -> Iterator[Rated]:
    """All, in the order of the scores that are left when those before were listed."""
    waiting = [(-each.score, 0, each) for each in rated]  # with how many of the author were listed when it was rated
    heapq.heapify(waiting)
    listed: Counter[int] = Counter()
    last: deque[int] = deque(maxlen=APART)
    while waiting:
        put_off = []
        while waiting:
            score, known, each = heapq.heappop(waiting)
            if known < listed[each.owner_id]:
                again = listed[each.owner_id]
                heapq.heappush(waiting, (score + AGAIN * (again - known), again, each))
            elif each.owner_id in last:
                put_off.append((score, known, each))
            else:
                break
        else:
            score, known, each = put_off.pop(0)
        for other in put_off:
            heapq.heappush(waiting, other)
        listed[each.owner_id] += 1
        last.append(each.owner_id)
        yield each
