"""The RPCs of protos/user/v1/second_factor.proto."""

from protos.user.v1 import second_factor_pb2 as pb
from protos.user.v1.second_factor_pb2_grpc import SecondFactorsServicer
from services.kit.context import require_caller
from services.user.second_factor import factors
from services.user.service import Service


class SecondFactors(SecondFactorsServicer):
    def __init__(self, service: Service) -> None:
        self._service, self._database = service, service.database

    async def GetSecondFactor(self, request: pb.GetSecondFactorRequest, context: object) -> pb.GetSecondFactorResponse:
        async with self._database.reading() as connection:
            state = await factors.get_state(connection, self._service.settings, require_caller())
        return pb.GetSecondFactorResponse(**state._asdict())

    async def BeginSecondFactor(
        self, request: pb.BeginSecondFactorRequest, context: object
    ) -> pb.BeginSecondFactorResponse:
        begun = await factors.begin(self._service, require_caller(), request.password)
        return pb.BeginSecondFactorResponse(secret=begun.secret, uri=begun.uri)

    async def TurnOnSecondFactor(self, request: pb.TurnOnSecondFactorRequest, context: object) -> pb.RecoveryCodes:
        return pb.RecoveryCodes(codes=await factors.turn_on(self._service, require_caller(), request.code))

    async def TurnOffSecondFactor(
        self, request: pb.TurnOffSecondFactorRequest, context: object
    ) -> pb.TurnOffSecondFactorResponse:
        await factors.turn_off(self._service, require_caller(), request.password, request.code)
        return pb.TurnOffSecondFactorResponse()

    async def RenewRecoveryCodes(self, request: pb.RenewRecoveryCodesRequest, context: object) -> pb.RecoveryCodes:
        codes = await factors.renew_codes(self._service, require_caller(), request.password, request.code)
        return pb.RecoveryCodes(codes=codes)
