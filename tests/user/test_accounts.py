from protos.user.v1 import accounts_pb2 as pb
from tests.support.user import PASSWORD, Running, caller_of, email_account, new_name


async def test_an_account_made_by_email_can_log_in(user: Running) -> None:
    name = new_name()
    made = await email_account(user, name)
    issued = await user.accounts.LoginByEmail(pb.LoginByEmailRequest(email=f"{name}@example.com", password=PASSWORD))
    assert issued.user_id == made.user_id and issued.rtoken and not made.rtoken
    assert caller_of(user, issued).role == 0
