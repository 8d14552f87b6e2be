"""The RPCs of protos/media/v1/for_you.proto."""

from protos.media.v1 import for_you_pb2 as pb
from protos.media.v1.for_you_pb2_grpc import ForYouServicer
from protos.media.v1.videos_pb2 import VideoPage, Why
from services.kit.context import current_caller, require_caller
from services.kit.pages import clamp
from services.media.resources import Resources
from services.media.videos import messages
from services.media.videos.for_you import explanations, feed, scoring, settings
from services.media.videos.for_you.pool import SharedPool
from services.media.videos.pages import MAX_LIMIT, PageRequest


class ForYou(ForYouServicer):
    def __init__(self, service: Resources) -> None:
        self._database, self._signer = service.database, service.signer
        self._pool = SharedPool(service.database)

    async def ListForYou(self, request: pb.ListForYouRequest, context: object) -> VideoPage:
        page = PageRequest(request.cursor, clamp(request.limit, MAX_LIMIT))
        pool = await self._pool.get()
        async with self._database.reading() as connection:
            found = await feed.list_for_you(connection, current_caller.get(), pool, page, request.public_as_ids)
        answer = messages.video_page(found.page, self._signer)
        answer.whys.extend(map(Why.ValueType, found.whys))
        return answer

    async def ExplainVideo(self, request: pb.ExplainVideoRequest, context: object) -> pb.Explanation:
        pool = await self._pool.get()
        async with self._database.reading() as connection:
            found = await explanations.explain_video(connection, require_caller(), pool, request.video_id)
        parts = (
            pb.ScorePart(name=name, value=value, weight=scoring.WEIGHTS[name]) for name, value in found.parts.items()
        )
        return pb.Explanation(
            why=Why.ValueType(found.why),
            tag=found.tag,
            liked_video_id=found.seed_id,
            score=found.score,
            fatigue=found.fatigue,
            parts=parts,
            seen=found.is_seen,
            kept_out=found.is_kept_out,
        )

    async def SetNotInterested(
        self, request: pb.SetNotInterestedRequest, context: object
    ) -> pb.SetNotInterestedResponse:
        name = str(request.WhichOneof("subject") or "video_id")
        subject = {name: getattr(request, name)}
        async with self._database.transaction() as connection:
            await settings.set_not_interested(connection, require_caller(), subject, request.undone)
        return pb.SetNotInterestedResponse()

    async def ListNotInterested(
        self, request: pb.ListNotInterestedRequest, context: object
    ) -> pb.ListNotInterestedResponse:
        wanted = (request.cursor, request.limit)
        async with self._database.reading() as connection:
            rows, cursor = await settings.list_not_interested(connection, require_caller(), *wanted)
        return pb.ListNotInterestedResponse(items=map(messages.not_interested, rows), next_cursor=cursor)

    async def GetForYouSettings(self, request: pb.GetForYouSettingsRequest, context: object) -> pb.ForYouSettings:
        async with self._database.reading() as connection:
            return pb.ForYouSettings(
                chronological=await settings.is_chronological(connection, require_caller().user_id)
            )

    async def SetForYouSettings(self, request: pb.ForYouSettings, context: object) -> pb.ForYouSettings:
        async with self._database.transaction() as connection:
            await settings.set_chronological(connection, require_caller(), request.chronological)
        return request

    async def ResetForYou(self, request: pb.ResetForYouRequest, context: object) -> pb.ResetForYouResponse:
        async with self._database.transaction() as connection:
            await settings.reset(connection, require_caller())
        return pb.ResetForYouResponse()
