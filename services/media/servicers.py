"""The RPCs of protos/media/v1: each unpacks its request, makes one call, and packs the result."""

from collections.abc import AsyncIterator

import grpc.aio

from protos.export.v1 import export_pb2
from protos.export.v1.export_pb2_grpc import add_ExportServicer_to_server
from protos.media.v1 import objects_pb2 as pb
from protos.media.v1.objects_pb2_grpc import (
    ObjectsServicer,
    UploadsServicer,
    add_ObjectsServicer_to_server,
    add_UploadsServicer_to_server,
)
from services.exports.servicers import Export
from services.kit.context import require_caller
from services.media.export import LISTS
from services.media.files import ingest, objects, resumable, uploads
from services.media.files.messages import (
    object_message,
    own_object,
    own_upload,
    partial_upload,
    variant_message,
)
from services.media.files.progress import progress_of
from services.media.files.streams import chunks_of, header_of, refusing_early
from services.media.pictures.variants import VariantMaker
from services.media.processing import queues
from services.media.resources import Resources
from services.media.videos.servicers import VIDEO_PROTOS, register_videos

PROTOS = (export_pb2.DESCRIPTOR, pb.DESCRIPTOR, *VIDEO_PROTOS)


def register(service: Resources, server: grpc.aio.Server) -> None:
    add_ObjectsServicer_to_server(Objects(service), server)
    add_UploadsServicer_to_server(Uploads(service), server)
    register_videos(service, server)
    add_ExportServicer_to_server(Export(service.database, LISTS), server)


class Objects(ObjectsServicer):
    def __init__(self, service: Resources) -> None:
        self._service, self._database, self._signer = service, service.database, service.signer
        self._variants = VariantMaker(service)

    async def Upload(self, requests: AsyncIterator[pb.UploadRequest], context: object) -> pb.Object:
        async with refusing_early(requests, context):
            header = (await header_of(requests)).header
            details = await ingest.upload(self._service, require_caller(), chunks_of(requests), header.size)
            async with self._database.transaction() as connection:
                progress = await progress_of(connection, details.row)
        return own_object(details, progress, self._signer)

    async def BatchGetObjects(self, request: pb.BatchGetObjectsRequest, context: object) -> pb.BatchGetObjectsResponse:
        async with self._database.transaction() as connection:
            if request.hold:
                await objects.hold(connection, request.hashes)
            found = await objects.batch_get(connection, request.hashes)
        return pb.BatchGetObjectsResponse(objects=[object_message(details, self._signer) for details in found])

    async def UseObject(self, request: pb.UseObjectRequest, context: object) -> pb.Object:
        async with self._database.transaction() as connection:
            details = await objects.use(connection, require_caller(), request.hash, request.kind)
        return object_message(details, self._signer, signed=True)

    async def MakeVariant(self, request: pb.MakeVariantRequest, context: object) -> pb.Variant:
        return variant_message(await self._variants.make(request.hash, request.width, request.format))

    async def GetStatus(self, request: pb.GetStatusRequest, context: object) -> pb.Object:
        async with self._database.reading() as connection:
            details = await objects.get_own(connection, require_caller(), request.hash)
            progress = await progress_of(connection, details.row)
        return own_object(details, progress, self._signer)

    async def ListUploads(self, request: pb.ListUploadsRequest, context: object) -> pb.ListUploadsResponse:
        async with self._database.reading() as connection:
            own, cursor = await uploads.list_own(connection, require_caller(), request.cursor, request.limit)
        return pb.ListUploadsResponse(uploads=[own_upload(it, self._signer) for it in own], next_cursor=cursor)

    async def DeleteObject(self, request: pb.DeleteObjectRequest, context: object) -> pb.DeleteObjectResponse:
        async with self._database.transaction() as connection:
            await uploads.delete_own(connection, require_caller(), request.hash)
        return pb.DeleteObjectResponse()

    async def Retry(self, request: pb.RetryRequest, context: object) -> pb.Object:
        async with self._database.transaction() as connection:
            details = await objects.retry(connection, require_caller(), request.hash)
            progress = await progress_of(connection, details.row)
        self._service.job_ready.set()
        return own_object(details, progress, self._signer)

    async def CountJobs(self, request: pb.CountJobsRequest, context: object) -> pb.CountJobsResponse:
        async with self._database.transaction() as connection:
            found = await queues.count_jobs(connection, require_caller())
        return pb.CountJobsResponse(
            queues=[
                pb.JobQueue(kind=q.kind, due=q.due, held=q.held, failed=q.failed, wait_seconds=q.wait) for q in found
            ]
        )


class Uploads(UploadsServicer):
    def __init__(self, service: Resources) -> None:
        self._service = service

    async def CreateUpload(self, request: pb.CreateUploadRequest, context: object) -> pb.PartialUpload:
        asked = (self._service.new_id(), request.size, request.metadata)
        async with self._service.database.transaction() as connection:
            row = await resumable.create(connection, self._service.settings, require_caller(), *asked)
        return partial_upload(row, None)

    async def AppendUpload(self, requests: AsyncIterator[pb.AppendUploadRequest], context: object) -> pb.PartialUpload:
        async with refusing_early(requests, context):
            header = (await header_of(requests)).header
            appended = (header.upload_id, header.offset, header.checksum)
            row, details = await resumable.append(self._service, require_caller(), *appended, chunks_of(requests))
        return self._pack(row, details)

    async def GetUpload(self, request: pb.GetUploadRequest, context: object) -> pb.PartialUpload:
        return self._pack(*await resumable.get(self._service, require_caller(), request.upload_id))

    async def DeleteUpload(self, request: pb.DeleteUploadRequest, context: object) -> pb.DeleteUploadResponse:
        async with self._service.database.transaction() as connection:
            await resumable.delete(connection, require_caller(), request.upload_id)
        return pb.DeleteUploadResponse()

    def _pack(self, row: object, details: objects.ObjectDetails | None) -> pb.PartialUpload:
        finished = object_message(details, self._service.signer, signed=True) if details else None
        return partial_upload(row, finished)
