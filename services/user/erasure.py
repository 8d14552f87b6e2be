"""Deleting an account (docs/contract/api.md, "user")."""

from sqlalchemy import func, update

from services.kit.context import Caller
from services.user import email_changes, events, guesses, sessions
from services.user.accounts import change_account, relock
from services.user.credentials import verify_own_password
from services.user.models import Session
from services.user.moderation import account_erasure
from services.user.service import Service


async def delete_account(service: Service, caller: Caller, password: str) -> None:
    """Empties the account, ends its sessions, and emits the event at which the other services erase their data.

    The row stays for the ids that name it. Raises UserNotFound, CredentialsWrong, Overloaded.
    """
    account = await verify_own_password(service, caller, password)
    gone = f"DELETED-{caller.user_id}"  # in capitals, which no folded username has
    async with service.database.transaction() as connection:
        await relock(connection, account)
        await sessions.revoke(connection, caller.user_id)
        await connection.execute(update(Session).where(Session.user_id == caller.user_id).values(device="", ip=""))
        await guesses.forget_networks(connection, caller.user_id)
        await email_changes.forget(connection, caller.user_id)
        await account_erasure.forget(connection, caller.user_id)
        await change_account(
            connection,
            caller.user_id,
            username=gone,
            username_key=gone,
            username_skeleton=None,
            nickname="",
            avatar="",
            bio="",
            sex=0,
            email=None,
            phone=None,
            phone_proven_at=None,
            password_hash="",
            client_ip="",
            client_port=0,
            device="",
            deleted_at=func.now(),
        )
        await events.account_deleted(connection, caller.user_id)
