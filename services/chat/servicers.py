"""The RPCs: each unpacks its request, makes one call, and packs the result. protos/chat/v1 holds the contract."""

from collections.abc import AsyncIterator

import grpc.aio

from protos.chat.v1 import conversations_pb2 as pb
from protos.chat.v1 import devices_pb2, marks_pb2, pins_pb2, reactions_pb2
from protos.chat.v1 import sockets_pb2 as sockets_pb
from protos.chat.v1.conversations_pb2_grpc import ConversationsServicer, add_ConversationsServicer_to_server
from protos.chat.v1.devices_pb2_grpc import add_DevicesServicer_to_server
from protos.chat.v1.marks_pb2_grpc import add_MarksServicer_to_server
from protos.chat.v1.pins_pb2_grpc import add_PinsServicer_to_server
from protos.chat.v1.reactions_pb2_grpc import add_ReactionsServicer_to_server
from protos.chat.v1.sockets_pb2_grpc import (
    PresenceServicer,
    TicketsServicer,
    add_NotificationsServicer_to_server,
    add_PresenceServicer_to_server,
    add_TicketsServicer_to_server,
)
from protos.export.v1 import export_pb2
from protos.export.v1.export_pb2_grpc import add_ExportServicer_to_server
from services.chat import messages
from services.chat.away.servicers import Devices
from services.chat.errors import ConversationNotFound
from services.chat.export import LISTS
from services.chat.membership import requests
from services.chat.membership.servicers import Marks
from services.chat.messages import MessageKey
from services.chat.notifications.servicers import Notifications
from services.chat.pins.servicers import Pins
from services.chat.reactions.servicers import Reactions
from services.chat.reading import conversations, receipts, syncs
from services.chat.reading.search import Wanted, search_messages
from services.chat.sending import batch_send
from services.chat.sending.content import parse_body, parse_content
from services.chat.sending.typing_signals import send_typing
from services.chat.service import Service
from services.chat.tickets import Holder
from services.exports.servicers import Export
from services.kit.context import require_caller
from services.kit.texts.word_filter import WordFilter

PROTOS = (
    export_pb2.DESCRIPTOR,
    pb.DESCRIPTOR,
    devices_pb2.DESCRIPTOR,
    marks_pb2.DESCRIPTOR,
    pins_pb2.DESCRIPTOR,
    reactions_pb2.DESCRIPTOR,
    sockets_pb.DESCRIPTOR,
)


def register(service: Service, server: grpc.aio.Server) -> None:
    add_ConversationsServicer_to_server(Conversations(service), server)
    add_DevicesServicer_to_server(Devices(service.database, service.new_id, service.away), server)
    add_MarksServicer_to_server(Marks(service.database, service.publisher), server)
    add_PinsServicer_to_server(Pins(service.database, service.publisher, service.sending.require_pinner), server)
    add_ReactionsServicer_to_server(reactions_of(service), server)
    add_TicketsServicer_to_server(Tickets(service), server)
    add_PresenceServicer_to_server(Presence(service), server)
    add_NotificationsServicer_to_server(Notifications(service.database), server)
    add_ExportServicer_to_server(Export(service.database, LISTS), server)


def reactions_of(service: Service) -> Reactions:
    return Reactions(service.database, service.publisher, service.new_id, service.sending.require_writer)


class Conversations(ConversationsServicer):
    def __init__(self, service: Service) -> None:
        self._service, self._database, self._publisher = service, service.database, service.publisher
        self._words = WordFilter(service.settings.filtered_words)

    async def Send(self, request: pb.SendRequest, context: object) -> pb.SendResponse:
        return await self._send(request)

    async def BatchSend(self, request: pb.BatchSendRequest, context: object) -> AsyncIterator[pb.BatchSendResponse]:
        async for results in batch_send.run(request.errands, self._send):
            yield pb.BatchSendResponse(results=results)

    async def _send(self, request: pb.SendRequest) -> pb.SendResponse:
        fields = (request.client_msg_id, request.content_type, request.body, request.reply_to_seq, request.mentions)
        content, to = parse_content(*fields), request.to.WhichOneof("to")
        if to is None:
            raise ConversationNotFound
        self._words.check(body=content.body.text)
        sent = await self._service.sending.send(require_caller(), (to, getattr(request.to, to)), content)
        return messages.send_response(sent.message, sent.duplicate)

    async def Edit(self, request: pb.EditRequest, context: object) -> pb.EditResponse:
        caller, key = require_caller(), MessageKey(request.conversation_id, request.seq)
        written = parse_body(request.body)
        self._words.check(body=written.text)
        body = await self._service.sending.check_edit(caller, key, written)
        async with self._database.transaction() as connection:
            rev = await self._service.edits.edit(connection, caller, key, body)
        return pb.EditResponse(rev=rev)

    async def Recall(self, request: pb.RecallRequest, context: object) -> pb.RecallResponse:
        caller, key = require_caller(), MessageKey(request.conversation_id, request.seq)
        any_message = await self._service.sending.may_recall_any(caller, key.conversation_id)
        async with self._database.transaction() as connection:
            rev = await self._service.edits.recall(connection, caller, key, any_message)
        return pb.RecallResponse(rev=rev)

    async def ListConversations(
        self, request: pb.ListConversationsRequest, context: object
    ) -> pb.ListConversationsResponse:
        caller, asked = require_caller(), (request.cursor, request.limit, request.shown_only)
        async with self._database.reading() as connection:
            page = await conversations.list_conversations(connection, caller, *asked)
        return messages.conversation_page(page)

    async def BatchListConversations(
        self, request: pb.BatchListConversationsRequest, context: object
    ) -> pb.BatchListConversationsResponse:
        async with self._database.reading() as connection:
            pages = await conversations.batch_list(connection, request.user_ids, request.limit)
        listed = {user_id: messages.conversation_page(page) for user_id, page in pages.items()}
        return pb.BatchListConversationsResponse(pages=listed)

    async def BatchSync(self, request: pb.BatchSyncRequest, context: object) -> pb.BatchSyncResponse:
        points = {point.conversation_id: point.from_rev for point in request.points}
        async with self._database.reading() as connection:
            found = await syncs.batch_sync(connection, require_caller(), points)
        return pb.BatchSyncResponse(syncs=map(messages.sync, found))

    async def GetHistory(self, request: pb.GetHistoryRequest, context: object) -> pb.GetHistoryResponse:
        page = (request.conversation_id, request.before_seq, request.limit)
        async with self._database.reading() as connection:
            rows, reacted, rev = await syncs.get_history(connection, require_caller(), *page)
        return pb.GetHistoryResponse(messages=[messages.message(row, reacted.get(row.seq)) for row in rows], rev=rev)

    async def MarkRead(self, request: pb.MarkReadRequest, context: object) -> pb.MarkReadResponse:
        read = (request.conversation_id, request.seq)
        async with self._database.transaction() as connection:
            read_seq, unread = await receipts.mark_read(connection, self._publisher, require_caller(), *read)
        return pb.MarkReadResponse(read_seq=read_seq, unread=unread)

    async def MarkDelivered(self, request: pb.MarkDeliveredRequest, context: object) -> pb.MarkDeliveredResponse:
        delivered = (request.conversation_id, request.seq)
        async with self._database.transaction() as connection:
            seq = await receipts.mark_delivered(connection, self._publisher, require_caller(), *delivered)
        return pb.MarkDeliveredResponse(delivered_seq=seq)

    async def BatchMarkDelivered(
        self, request: pb.BatchMarkDeliveredRequest, context: object
    ) -> pb.BatchMarkDeliveredResponse:
        delivered = [(each.user_id, each.conversation_id, each.seq) for each in request.delivered]
        async with self._database.transaction() as connection:
            await receipts.batch_mark_delivered(connection, self._publisher, delivered)
        return pb.BatchMarkDeliveredResponse()

    async def AnswerRequest(self, request: pb.AnswerRequestRequest, context: object) -> pb.AnswerRequestResponse:
        answer = (request.conversation_id, request.accept)
        async with self._database.transaction() as connection:
            pushes = await requests.answer(connection, require_caller(), *answer)
            await self._publisher.store_for_relay(connection, pushes)
        return pb.AnswerRequestResponse()

    async def SendTyping(self, request: pb.SendTypingRequest, context: object) -> pb.SendTypingResponse:
        typing = (request.conversation_id, request.active, request.connection_id)
        async with self._database.transaction() as connection:
            await send_typing(connection, self._publisher, require_caller(), *typing)
        return pb.SendTypingResponse()

    async def GetReceipts(self, request: pb.GetReceiptsRequest, context: object) -> pb.GetReceiptsResponse:
        page = (request.conversation_id, request.after_user_id, request.limit)
        async with self._database.reading() as connection:
            rows = await receipts.get_receipts(connection, require_caller(), *page)
        return pb.GetReceiptsResponse(members=map(messages.member, rows))

    async def BatchGetRevs(self, request: pb.BatchGetRevsRequest, context: object) -> pb.BatchGetRevsResponse:
        async with self._database.reading() as connection:
            rows = await syncs.get_revs(connection, request.conversation_ids)
        return pb.BatchGetRevsResponse(revs=[pb.ConversationRev(conversation_id=row.id, rev=row.rev) for row in rows])

    async def Recheck(self, request: pb.RecheckRequest, context: object) -> pb.RecheckResponse:
        await self._service.membership.refresh(require_caller(), request.group_id, request.user_id)
        return pb.RecheckResponse()

    async def SearchMessages(self, request: pb.SearchMessagesRequest, context: object) -> pb.SearchMessagesResponse:
        filters = (request.sender_id, request.content_types, request.since, request.until)
        wanted = Wanted(request.text, request.conversation_id, *filters)
        asked = (wanted, request.cursor, request.limit)
        async with self._database.transaction() as connection:  # which bounds the time of its statements
            rows, cursor = await search_messages(connection, require_caller(), *asked)
        return pb.SearchMessagesResponse(messages=map(messages.message, rows), next_cursor=cursor)


class Tickets(TicketsServicer):
    def __init__(self, service: Service) -> None:
        self._tickets = service.tickets

    async def BatchCreateTickets(
        self, request: sockets_pb.BatchCreateTicketsRequest, context: object
    ) -> sockets_pb.BatchCreateTicketsResponse:
        holders = [Holder(each.user_id, each.session_id, each.role) for each in request.holders]
        return sockets_pb.BatchCreateTicketsResponse(tickets=await self._tickets.create(holders))

    async def BatchRedeemTickets(
        self, request: sockets_pb.BatchRedeemTicketsRequest, context: object
    ) -> sockets_pb.BatchRedeemTicketsResponse:
        holders = await self._tickets.redeem(request.tickets)
        found = (sockets_pb.TicketHolder(**holder._asdict()) for holder in holders)
        return sockets_pb.BatchRedeemTicketsResponse(holders=found)


class Presence(PresenceServicer):
    def __init__(self, service: Service) -> None:
        self._presence = service.presence

    async def RefreshConnections(
        self, request: sockets_pb.RefreshConnectionsRequest, context: object
    ) -> sockets_pb.RefreshConnectionsResponse:
        return sockets_pb.RefreshConnectionsResponse(lost=not await self._presence.refresh(request.connections))

    async def BatchGetPresence(
        self, request: sockets_pb.BatchGetPresenceRequest, context: object
    ) -> sockets_pb.BatchGetPresenceResponse:
        found = await self._presence.batch_get(require_caller(), request.user_ids)
        presences = [sockets_pb.UserPresence(**each._asdict()) for each in found]
        return sockets_pb.BatchGetPresenceResponse(presences=presences)

    async def BatchGetOnline(
        self, request: sockets_pb.BatchGetOnlineRequest, context: object
    ) -> sockets_pb.BatchGetOnlineResponse:
        return sockets_pb.BatchGetOnlineResponse(user_ids=await self._presence.online_among(request.user_ids))

    async def ListOnlineUsers(
        self, request: sockets_pb.ListOnlineUsersRequest, context: object
    ) -> sockets_pb.ListOnlineUsersResponse:
        page = await self._presence.list_online(request.cursor, request.offset, request.limit)
        return sockets_pb.ListOnlineUsersResponse(user_ids=page.user_ids, next_cursor=page.next_cursor)
