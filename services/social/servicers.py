"""Registers the services of protos/social/v1. Each of their RPCs unpacks the request, calls one function in one
transaction, and packs the answer.
"""

import grpc.aio

from protos.export.v1 import export_pb2
from protos.export.v1.export_pb2_grpc import add_ExportServicer_to_server
from protos.social.v1 import follows_pb2, friends_pb2, groups_pb2, mutes_pb2
from protos.social.v1.follows_pb2_grpc import add_FollowsServicer_to_server
from protos.social.v1.friends_pb2_grpc import add_FriendsServicer_to_server
from protos.social.v1.groups_pb2_grpc import add_GroupsServicer_to_server
from protos.social.v1.mutes_pb2_grpc import add_MutesServicer_to_server
from services.exports.servicers import Export
from services.social.export import LISTS
from services.social.follows.servicers import Follows
from services.social.friends.servicers import Friends
from services.social.groups.servicers import Groups
from services.social.mutes.servicers import Mutes
from services.social.service import Service

PROTOS = tuple(each.DESCRIPTOR for each in (export_pb2, follows_pb2, friends_pb2, groups_pb2, mutes_pb2))


def register(service: Service, server: grpc.aio.Server) -> None:
    add_FriendsServicer_to_server(Friends(service), server)
    add_FollowsServicer_to_server(Follows(service), server)
    add_GroupsServicer_to_server(Groups(service), server)
    add_ExportServicer_to_server(Export(service.database, LISTS), server)
    add_MutesServicer_to_server(Mutes(service), server)
