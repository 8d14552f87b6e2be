"""The chat service as the gateway calls it."""

from dataclasses import dataclass

import grpc.aio

from gateway.chat.cards import Cards
from gateway.chat.reaction_batcher import ReactionBatcher
from gateway.chat.send_batcher import SendBatcher
from protos.chat.v1 import conversations_pb2, devices_pb2, marks_pb2, pins_pb2, reactions_pb2, sockets_pb2
from protos.chat.v1.conversations_pb2_grpc import ConversationsStub
from protos.chat.v1.devices_pb2_grpc import DevicesStub
from protos.chat.v1.marks_pb2_grpc import MarksStub
from protos.chat.v1.pins_pb2_grpc import PinsStub
from protos.chat.v1.reactions_pb2_grpc import ReactionsStub
from protos.chat.v1.sockets_pb2_grpc import NotificationsStub, PresenceStub, TicketsStub
from protos.export.v1 import export_pb2

CHAT_PROTOS = (
    export_pb2.DESCRIPTOR,
    conversations_pb2.DESCRIPTOR,
    devices_pb2.DESCRIPTOR,
    marks_pb2.DESCRIPTOR,
    pins_pb2.DESCRIPTOR,
    reactions_pb2.DESCRIPTOR,
    sockets_pb2.DESCRIPTOR,
)


NO_CARDS = Cards()


@dataclass(frozen=True, slots=True)
class Chat:
    conversations: ConversationsStub
    sends: SendBatcher
    tickets: TicketsStub
    presence: PresenceStub
    notifications: NotificationsStub
    marks: MarksStub
    reactions: ReactionsStub
    reacting: ReactionBatcher
    pins: PinsStub
    devices: DevicesStub
    cards: Cards = NO_CARDS  # of videos that messages share


def chat_at(channel: grpc.aio.Channel) -> Chat:
    conversations = ConversationsStub(channel)
    others = (TicketsStub(channel), PresenceStub(channel), NotificationsStub(channel), MarksStub(channel))
    reactions = ReactionsStub(channel)
    reacting, pins = ReactionBatcher(reactions), PinsStub(channel)
    return Chat(conversations, SendBatcher(conversations), *others, reactions, reacting, pins, DevicesStub(channel))
