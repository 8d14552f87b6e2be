"""The RPC of protos/export/v1, the same in every service but for its lists."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import text

from protos.export.v1 import export_pb2 as pb
from protos.export.v1.export_pb2_grpc import ExportServicer
from services.kit.context import require_caller
from services.kit.cursor import CursorInvalid, decode_cursor, encode_cursor
from services.kit.db import Database

START = -(2**63)  # before any key


class UserList(NamedTuple):
    """`query` selects the rows of `:user_id` with two bigint keys, `a` and `b`, that make each unique and order them.

    At most `most` rows travel in one message, which may have 4 MB.
    """

    name: str
    query: str
    most: int = 500


class Export(ExportServicer):
    def __init__(self, database: Database, lists: Sequence[UserList]) -> None:
        self._database, self._lists = database, lists

    async def ExportRows(self, request: pb.ExportRowsRequest, context: object) -> pb.ExportRowsResponse:
        number, a, b = decode_cursor(request.cursor, tuple[int, int, int]) or (0, START, START)
        if not 0 <= number < len(self._lists):
            raise CursorInvalid
        wanted = self._lists[number]
        page = text(f"""SELECT a, b, (to_jsonb(it) - 'a' - 'b')::text AS row FROM ({wanted.query}) it
            WHERE (a, b) > (:a, :b) ORDER BY a, b LIMIT :most""")  # noqa: S608 - written in this repository
        values = {"user_id": require_caller().user_id, "a": a, "b": b, "most": wanted.most}
        async with self._database.reading() as connection:
            rows = (await connection.execute(page, values)).all()
        following = ""
        if len(rows) == wanted.most:
            following = encode_cursor(number, rows[-1].a, rows[-1].b)
        elif number + 1 < len(self._lists):
            following = encode_cursor(number + 1, START, START)
        texts, count = [row.row for row in rows], len(self._lists)
        return pb.ExportRowsResponse(list=wanted.name, rows=texts, next_cursor=following, lists=count)
