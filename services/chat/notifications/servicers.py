"""The RPCs of the service Notifications in protos/chat/v1/sockets.proto."""

from protos.chat.v1 import sockets_pb2 as pb
from protos.chat.v1.sockets_pb2_grpc import NotificationsServicer
from services.chat import messages
from services.chat.notifications import notifications
from services.kit.context import require_caller
from services.kit.db import Database


class Notifications(NotificationsServicer):
    def __init__(self, database: Database) -> None:
        self._database = database

    async def ListNotifications(
        self, request: pb.ListNotificationsRequest, context: object
    ) -> pb.ListNotificationsResponse:
        page = (request.before, request.limit)
        async with self._database.reading() as connection:
            rows, unread = await notifications.list_notifications(connection, require_caller(), *page)
        listed = map(messages.notification, rows)
        return pb.ListNotificationsResponse(notifications=listed, unread=unread)

    async def MarkNotificationsRead(
        self, request: pb.MarkNotificationsReadRequest, context: object
    ) -> pb.MarkNotificationsReadResponse:
        which = (request.notification_ids, request.all)
        async with self._database.transaction() as connection:
            await notifications.mark_read(connection, require_caller(), *which)
        return pb.MarkNotificationsReadResponse()

    async def SetMuted(self, request: pb.SetMutedRequest, context: object) -> pb.SetMutedResponse:
        async with self._database.transaction() as connection:
            await notifications.set_muted(connection, require_caller(), request.kind, request.muted)
        return pb.SetMutedResponse()
