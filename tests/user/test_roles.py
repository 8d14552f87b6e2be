"""Who may set whose role: user/set-role in api.md."""

from itertools import product
from typing import Any

import grpc.aio
import pytest

from protos.user.v1 import accounts_pb2 as pb
from protos.user.v1 import users_pb2 as users_pb
from services.user.accounts import lock_account
from tests.support.user import (
    Running,
    acting,
    anonymous,
    caller_of,
    email_account,
    events_of,
    execute,
    outcomes,
    profile,
    refusal,
)

ROLES = GUEST, USER, MEMBER, ADMIN, SUPER_ADMIN = range(5)

# Actor → the (target's role, new role) that they may set on others.
ON_OTHERS: dict[int, set[tuple[int, int]]] = {
    GUEST: set(),
    USER: set(),
    MEMBER: set(),
    ADMIN: set(product((GUEST, USER, MEMBER), (GUEST, USER, MEMBER))),
    SUPER_ADMIN: set(product(ROLES, ROLES)),
}
# (Own role, whether an admin set it) → the roles that the user may take; keeping the present one is no change.
ON_OWN_ACCOUNT: dict[tuple[int, bool], set[int]] = {
    (GUEST, False): {GUEST, USER},
    (GUEST, True): {GUEST},
    (USER, False): {USER},
    (USER, True): {USER},
    (MEMBER, False): {MEMBER},
    (MEMBER, True): {MEMBER},
    (ADMIN, False): set(),
    (ADMIN, True): set(),
    (SUPER_ADMIN, False): set(ROLES),
    (SUPER_ADMIN, True): set(ROLES),
}


async def give(user: Running, issued: pb.Tokens, role: int, by_admin: bool = False) -> None:
    await execute(
        user,
        "UPDATE account SET role = :role, role_set_by_admin = :by_admin WHERE id = :id",
        id=issued.user_id,
        role=role,
        by_admin=by_admin,
    )


async def account(user: Running, role: int, by_admin: bool = False) -> pb.Tokens:
    made = await email_account(user)
    await give(user, made, role, by_admin)
    return made


def setting(user: Running, actor: pb.Tokens, user_id: int, role: int) -> grpc.aio.UnaryUnaryCall[Any, Any]:
    with acting(caller_of(user, actor)):
        return user.users.SetRole(users_pb.SetRoleRequest(user_id=user_id, role=role))


async def role_of(user: Running, issued: pb.Tokens) -> int:
    return (await profile(user, issued.user_id)).role


async def audit(user: Running, issued: pb.Tokens) -> list[tuple[int | None, int, int]]:
    query = "SELECT by_user_id, old_role, new_role FROM role_change WHERE user_id = :id ORDER BY id"
    return [tuple(row) for row in await execute(user, query, id=issued.user_id)]


@pytest.mark.parametrize("actor_role", ROLES)
async def test_what_each_role_may_set_on_others(user: Running, actor_role: int) -> None:
    actor, target = await account(user, actor_role), await email_account(user)
    for by_admin, old, new in product((False, True), ROLES, ROLES):
        await give(user, target, old, by_admin)
        allowed = (old, new) in ON_OTHERS[actor_role]
        reason = await refusal(setting(user, actor, target.user_id, new))
        assert (reason, await role_of(user, target)) == (("", new) if allowed else ("NOT_PERMITTED", old)), (old, new)


@pytest.mark.parametrize(("own_role", "by_admin"), list(ON_OWN_ACCOUNT))
async def test_what_each_role_may_set_on_the_own_account(user: Running, own_role: int, by_admin: bool) -> None:
    actor = await email_account(user)
    for new in ROLES:
        await give(user, actor, own_role, by_admin)
        allowed = new in ON_OWN_ACCOUNT[own_role, by_admin]
        reason = await refusal(setting(user, actor, actor.user_id, new))
        assert (reason, await role_of(user, actor)) == (("", new) if allowed else ("NOT_PERMITTED", own_role)), new


@pytest.mark.parametrize("role", [-1, 5, 2**31 - 1, -(2**31)])
async def test_there_are_no_other_roles(user: Running, role: int) -> None:
    boss = await account(user, SUPER_ADMIN)
    assert await refusal(setting(user, boss, boss.user_id, role)) == "ROLE_INVALID"


async def test_only_an_admin_learns_that_a_user_does_not_exist(user: Running) -> None:
    assert await refusal(setting(user, await account(user, USER), 1, USER)) == "NOT_PERMITTED"
    assert await refusal(setting(user, await account(user, ADMIN), 1, USER)) == "USER_NOT_FOUND"


async def test_nobody_sets_no_role(user: Running) -> None:
    with anonymous():
        assert await refusal(user.users.SetRole(users_pb.SetRoleRequest(user_id=1, role=1))) == "CALLER_MISSING"


async def test_the_role_of_the_actor_is_the_present_one_not_the_tokens(user: Running) -> None:
    actor, target = await account(user, GUEST), await account(user, GUEST)
    caller = caller_of(user, actor)
    with acting(type(caller)(caller.user_id, SUPER_ADMIN, caller.session_id)):
        call = user.users.SetRole(users_pb.SetRoleRequest(user_id=target.user_id, role=USER))
    assert await refusal(call) == "NOT_PERMITTED"


async def test_who_an_admin_set_to_guest_stays_guest(user: Running) -> None:
    admin, target = await account(user, ADMIN), await account(user, GUEST)
    await setting(user, admin, target.user_id, GUEST)
    assert await refusal(setting(user, target, target.user_id, USER)) == "NOT_PERMITTED"


async def test_every_change_is_kept_and_announced_with_who_made_it(user: Running) -> None:
    admin, target = await account(user, ADMIN), await account(user, GUEST)
    await setting(user, target, target.user_id, USER)
    await setting(user, admin, target.user_id, MEMBER)
    await setting(user, admin, target.user_id, MEMBER)  # a retry changes nothing
    await refusal(setting(user, admin, target.user_id, ADMIN))
    assert await audit(user, target) == [(target.user_id, GUEST, USER), (admin.user_id, USER, MEMBER)]
    announced = [data["role"] for subject, data in await events_of(user, target.user_id) if subject == "role.changed"]
    assert announced == [USER, MEMBER]


async def test_the_changes_of_many_admins_at_once_follow_from_one_another(user: Running) -> None:
    admins, target = [await account(user, ADMIN) for _ in range(10)], await account(user, GUEST)
    calls = (setting(user, admin, target.user_id, number % 3) for number, admin in enumerate(admins))
    assert await outcomes(*calls) == {"": 10}
    changes = await audit(user, target)
    assert [new for _, _, new in changes[:-1]] == [old for _, old, _ in changes[1:]]
    assert changes[-1][2] == await role_of(user, target)


async def test_a_role_that_one_has_already_waits_for_nobody(user: Running) -> None:
    person = await account(user, USER)
    async with user.service.database.transaction() as connection:
        await lock_account(connection, person.user_id)
        await setting(user, person, person.user_id, USER)
