"""The RPCs of protos/user/v1: each unpacks the request, calls one function, packs the answer.

A transaction is opened here, but where a password or a code is checked: registration.py, credentials.py and erasure.py
open their own around that (docs/adr/0012-transactions-open-in-the-servicer.md).
"""

import grpc.aio

from protos.export.v1 import export_pb2
from protos.export.v1.export_pb2_grpc import add_ExportServicer_to_server
from protos.user.v1 import accounts_pb2 as pb
from protos.user.v1 import audit_pb2, exports_pb2, moderation_pb2, second_factor_pb2
from protos.user.v1 import users_pb2 as users_pb
from protos.user.v1.accounts_pb2_grpc import (
    AccountsServicer,
    SessionsServicer,
    add_AccountsServicer_to_server,
    add_SessionsServicer_to_server,
)
from protos.user.v1.audit_pb2_grpc import add_AuditServicer_to_server
from protos.user.v1.exports_pb2_grpc import add_ExportsServicer_to_server
from protos.user.v1.second_factor_pb2_grpc import add_SecondFactorsServicer_to_server
from protos.user.v1.users_pb2_grpc import UsersServicer, add_UsersServicer_to_server
from services.exports.servicers import Export
from services.kit.context import require_caller
from services.kit.texts.word_filter import WordFilter
from services.user import (
    accounts,
    credentials,
    email_changes,
    erasure,
    messages,
    profiles,
    registration,
    roles,
    sessions,
)
from services.user.audit.servicers import Audit
from services.user.audit.sessions import revoke_session
from services.user.errors import SessionEnded
from services.user.exports.lists import LISTS
from services.user.exports.servicers import Exports
from services.user.identities import search
from services.user.moderation.servicers import register_moderation
from services.user.proofs import codes
from services.user.second_factor.servicers import SecondFactors
from services.user.service import Service
from services.user.sessions import Client
from services.user.tokens.refresh import refresh

PROTOS = tuple(
    proto.DESCRIPTOR for proto in (pb, users_pb, audit_pb2, moderation_pb2, exports_pb2, second_factor_pb2, export_pb2)
)


def register(service: Service, server: grpc.aio.Server) -> None:
    add_AccountsServicer_to_server(Accounts(service), server)
    add_SessionsServicer_to_server(Sessions(service), server)
    add_UsersServicer_to_server(Users(service), server)
    add_AuditServicer_to_server(Audit(service), server)
    register_moderation(service, server)
    add_SecondFactorsServicer_to_server(SecondFactors(service), server)
    add_ExportsServicer_to_server(Exports(service), server)
    add_ExportServicer_to_server(Export(service.database, LISTS), server)


def _client(client: pb.Client) -> Client:
    return Client(client.ip, client.port, client.device)


class Accounts(AccountsServicer):
    def __init__(self, service: Service) -> None:
        self._service = service
        self._words = WordFilter(service.settings.filtered_words)

    async def SendCode(self, request: pb.SendCodeRequest, context: object) -> pb.SendCodeResponse:
        purpose = codes.PURPOSES[request.purpose] if request.purpose < len(codes.PURPOSES) else codes.ANY
        await registration.send_code(self._service, request.email, purpose, _client(request.client))
        return pb.SendCodeResponse()

    async def SendPhoneCode(self, request: pb.SendPhoneCodeRequest, context: object) -> pb.SendPhoneCodeResponse:
        purpose = codes.PURPOSES[request.purpose] if request.purpose < len(codes.PURPOSES) else codes.ANY
        await registration.send_phone_code(self._service, request.phone, purpose, _client(request.client))
        return pb.SendPhoneCodeResponse()

    async def RegisterByEmail(self, request: pb.RegisterByEmailRequest, context: object) -> pb.Tokens:
        self._words.check(username=request.username)
        issued = await registration.register_by_email(
            self._service,
            email=request.email,
            code=request.code,
            password=request.password,
            username=request.username,
            avatar=request.avatar,
            client=_client(request.client),
        )
        return messages.tokens(issued)

    async def LoginByEmail(self, request: pb.LoginByEmailRequest, context: object) -> pb.Tokens:
        client = _client(request.client)
        return messages.tokens(
            await credentials.login_by_email(
                self._service, request.email, request.password, client, request.second_code
            )
        )

    async def RegisterByPhone(self, request: pb.RegisterByPhoneRequest, context: object) -> pb.Tokens:
        self._words.check(nickname=request.nickname)
        issued = await registration.register_by_phone(
            self._service,
            phone=request.phone,
            password=request.password,
            nickname=request.nickname,
            sex=request.sex,
            avatar=request.avatar,
            code=request.code,
            client=_client(request.client),
        )
        return messages.tokens(issued)

    async def LoginByPhone(self, request: pb.LoginByPhoneRequest, context: object) -> pb.Tokens:
        client = _client(request.client)
        return messages.tokens(
            await credentials.login_by_phone(
                self._service, request.phone, request.password, client, request.second_code
            )
        )

    async def RefreshToken(self, request: pb.RefreshTokenRequest, context: object) -> pb.Tokens:
        async with self._service.database.transaction() as connection:
            issued = await refresh(connection, self._service, request.rtoken, request.rotate)
        if issued is None:
            raise SessionEnded
        return messages.tokens(issued)

    async def Logout(self, request: pb.LogoutRequest, context: object) -> pb.LogoutResponse:
        async with self._service.database.transaction() as connection:
            await sessions.logout(connection, require_caller())
        return pb.LogoutResponse()

    async def ChangePassword(self, request: pb.ChangePasswordRequest, context: object) -> pb.ChangePasswordResponse:
        await credentials.change_password(self._service, require_caller(), request.old_password, request.new_password)
        return pb.ChangePasswordResponse()

    async def ResetPassword(self, request: pb.ResetPasswordRequest, context: object) -> pb.ResetPasswordResponse:
        client = _client(request.client)
        await credentials.reset_password(self._service, request.email, request.code, request.password, client)
        return pb.ResetPasswordResponse()

    async def BindEmail(self, request: pb.BindEmailRequest, context: object) -> pb.BindEmailResponse:
        await credentials.bind_email(
            self._service, require_caller(), request.email, request.code, request.password, _client(request.client)
        )
        return pb.BindEmailResponse()

    async def UndoEmailChange(self, request: pb.UndoEmailChangeRequest, context: object) -> pb.UndoEmailChangeResponse:
        with accounts.taken():
            async with self._service.database.transaction() as connection:
                await email_changes.undo(connection, self._service, request.key)
        return pb.UndoEmailChangeResponse()

    async def BindPhone(self, request: pb.BindPhoneRequest, context: object) -> pb.BindPhoneResponse:
        await credentials.bind_phone(
            self._service, require_caller(), request.phone, request.password, request.code, _client(request.client)
        )
        return pb.BindPhoneResponse()

    async def DeleteAccount(self, request: pb.DeleteAccountRequest, context: object) -> pb.DeleteAccountResponse:
        await erasure.delete_account(self._service, require_caller(), request.password)
        return pb.DeleteAccountResponse()


class Sessions(SessionsServicer):
    def __init__(self, service: Service) -> None:
        self._database, self._second_factor_role = service.database, service.settings.second_factor_role

    async def ListSessions(self, request: pb.ListSessionsRequest, context: object) -> pb.ListSessionsResponse:
        caller = require_caller()
        async with self._database.reading() as connection:
            user_id = await profiles.require_self_or_admin(connection, caller, request.user_id)
            rows, cursor = await sessions.list_live(connection, user_id, request.cursor, request.limit)
        return pb.ListSessionsResponse(sessions=[messages.session(row, caller) for row in rows], next_cursor=cursor)

    async def RevokeSession(self, request: pb.RevokeSessionRequest, context: object) -> pb.RevokeSessionResponse:
        async with self._database.transaction() as connection:
            await revoke_session(connection, require_caller(), request.user_id, request.session_id)
        return pb.RevokeSessionResponse()

    async def RevokeOtherSessions(self, request: pb.RevokeOtherSessionsRequest, context: object) -> pb.RevokedSessions:
        async with self._database.transaction() as connection:
            await sessions.revoke_others(connection, require_caller())
        return pb.RevokedSessions()

    async def CheckSessions(self, request: pb.CheckSessionsRequest, context: object) -> pb.CheckSessionsResponse:
        async with self._database.transaction() as connection:  # it marks sessions as seen
            rows = await sessions.check(connection, request.session_ids, self._second_factor_role)
        return pb.CheckSessionsResponse(sessions=map(messages.verdict, rows))


class Users(UsersServicer):
    def __init__(self, service: Service) -> None:
        self._database, self._region = service.database, service.settings.phone_region
        self._reserved, self._proven_only = service.settings.reserved_names, service.sms.is_on
        self._words = WordFilter(service.settings.filtered_words)

    async def BatchGetUsers(
        self, request: users_pb.BatchGetUsersRequest, context: object
    ) -> users_pb.BatchGetUsersResponse:
        async with self._database.reading() as connection:
            rows = await profiles.batch_get(connection, request.user_ids)
        return users_pb.BatchGetUsersResponse(users=[messages.user(row, self._region) for row in rows])

    async def BatchGetUsersByUsername(
        self, request: users_pb.BatchGetUsersByUsernameRequest, context: object
    ) -> users_pb.BatchGetUsersResponse:
        async with self._database.reading() as connection:
            rows, places = await profiles.batch_get_by_username(connection, request.usernames)
        return users_pb.BatchGetUsersResponse(users=[messages.user(row, self._region) for row in rows], places=places)

    async def SearchUsers(self, request: users_pb.SearchUsersRequest, context: object) -> users_pb.SearchUsersResponse:
        require_caller()
        async with self._database.reading() as connection:
            rows, next_cursor = await search.search_users(
                connection, request.query, self._region, request.cursor, request.limit, self._proven_only
            )
        users = [messages.user(row, self._region) for row in rows]
        return users_pb.SearchUsersResponse(users=users, next_cursor=next_cursor)

    async def BatchGetProfiles(
        self, request: users_pb.BatchGetProfilesRequest, context: object
    ) -> users_pb.BatchGetProfilesResponse:
        async with self._database.reading() as connection:
            views = await profiles.batch_view(connection, [(pair.user_id, pair.viewer_id) for pair in request.lookups])
        users = [messages.user(row, self._region, private) if row else users_pb.User() for row, private in views]
        return users_pb.BatchGetProfilesResponse(users=users)

    async def UpdateProfile(
        self, request: users_pb.UpdateProfileRequest, context: object
    ) -> users_pb.UpdateProfileResponse:
        changes = {field.name: value for field, value in request.ListFields() if field.name != "user_id"}
        self._words.check(username=request.username, bio=request.bio)
        with accounts.taken():
            async with self._database.transaction() as connection:
                await profiles.update_profile(connection, require_caller(), request.user_id, changes, self._reserved)
        return users_pb.UpdateProfileResponse()

    async def SetRole(self, request: users_pb.SetRoleRequest, context: object) -> users_pb.SetRoleResponse:
        async with self._database.transaction() as connection:
            await roles.set_role(connection, require_caller(), request.user_id, request.role)
        return users_pb.SetRoleResponse()
