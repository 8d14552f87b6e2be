"""Refuses a whole request by its bytes, before anything is parsed (docs/adr/0014-overload-is-refused.md).

Parsing takes most of what a refusal costs. Only the most common shape is refused here: one request of HTTP/1.1 in one
piece, on a connection that is kept, with a head that neither frames its body unusually nor asks for another answer.
Whatever else comes takes the way through the parser, which refuses it, too.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from gateway.http.envelopes import Family, family_of
from gateway.http.overload import logins
from gateway.http.overload.admission import rank_of, refusal_for
from services.kit.overload.admission import HERE, Rank

START = re.compile(rb"(GET|POST|PUT|PATCH|DELETE) (/[!-~]*) HTTP/1\.1\r\n")
LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,9})\r\n")
# Of these a page of another origin, a proxy and the framing of the body depend.
UNUSUAL = (b"\r\norigin", b"\r\nconnection", b"\r\ntransfer-encoding", b"\r\nupgrade", b"\r\nexpect")
# A client repeats its head, and looking at it takes longer than all else: the last ones are kept, 2 MB at most.
HEADS, MOST_BYTES = 1_024, 2_048


class Head(NamedTuple):
    method: str
    url: bytes
    rank: Rank
    family: Family
    length: int  # bytes of the whole request


class Refusal(NamedTuple):
    answer: bytes
    after: float  # seconds in which the answer is held back


def early_refusal_of(data: bytes) -> Refusal | None:
    """None unless `data` is a whole request that is refused now."""
    end = data.find(b"\r\n\r\n", 0, MOST_BYTES) + 4
    head = _head_of(data[:end]) if end >= 4 else None
    if head is None or len(data) != head.length:
        return None
    is_login = logins.are_refused(head.url)
    if not (is_login or HERE.is_full_for(head.rank)):
        return None
    HERE.count_refused(head.rank)
    answer = refusal_for(head.family, head.method, keep_alive=True)
    return Refusal(answer, logins.HOLD_SECONDS if is_login else 0.0)


@lru_cache(HEADS)
def _head_of(data: bytes) -> Head | None:
    """None if it is not of the common shape. What is, is one head however a proxy in front would read it."""
    start = START.match(data)
    if start is None:
        return None
    method, url = start.groups()
    rank, length = rank_of(method, url), _length_of(data.lower())
    if rank is None or length is None:
        return None
    return Head(method.decode(), url, rank, family_of(url.decode()), length)


def _length_of(head: bytes) -> int | None:
    if head.count(b"\n") != head.count(b"\r\n") or any(name in head for name in UNUSUAL):
        return None
    lengths = LENGTH.findall(head)
    if head.count(b"content-length") != len(lengths) or len(lengths) > 1:
        return None
    return len(head) + sum(map(int, lengths))
