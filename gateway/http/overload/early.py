"""Refuses a whole request by its bytes, before anything is parsed (docs/adr/0014-overload-is-refused.md).

Parsing takes most of what a refusal costs. Only the most common shape is refused here: one request of HTTP/1.1 in one
piece, on a connection that is kept, with a head that neither frames its body unusually nor asks for another answer.
Whatever else comes takes the way through the parser, which refuses it, too.
"""

import re

from gateway.http.overload.admission import rank_of, refusal_of
from gateway.http.overload.logins import are_refused
from services.kit.overload.admission import HERE

START = re.compile(rb"(GET|POST|PUT|PATCH|DELETE) (/[!-~]*) HTTP/1\.1\r\n")
LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,9})\r\n")
# Of these a page of another origin, a proxy and the framing of the body depend.
UNUSUAL = (b"\r\norigin", b"\r\nconnection", b"\r\ntransfer-encoding", b"\r\nupgrade", b"\r\nexpect")


def early_refusal_of(data: bytes) -> bytes | None:
    """The answer, if `data` is a whole request that is refused now."""
    start = START.match(data)
    if start is None:
        return None
    method, url = start.groups()
    rank = rank_of(method, url)
    if rank is None or not (HERE.is_full_for(rank) or are_refused(url)) or not _is_whole(data):
        return None
    HERE.count_refused(rank)
    return refusal_of(method, url, keep_alive=True)


def _is_whole(data: bytes) -> bool:
    """Whether `data` is one request and no more, however a proxy in front would read it."""
    end = data.find(b"\r\n\r\n") + 4
    head = data[:end].lower()
    if end < 4 or head.count(b"\n") != head.count(b"\r\n") or any(name in head for name in UNUSUAL):
        return False
    if b"content-length" not in head:
        return len(data) == end
    lengths = LENGTH.findall(head)
    return head.count(b"content-length") == 1 == len(lengths) and len(data) == end + int(lengths[0])
