"""Role numbers, of accounts and in groups (docs/contract/api.md)."""

GUEST, USER, MEMBER, ADMIN, SUPER_ADMIN = range(5)  # of an account, in a token's `role`
GROUP_MEMBER, GROUP_MANAGER, GROUP_OWNER = range(3)  # in a group, stored and sent as these numbers


def is_admin(role: int) -> bool:
    """Whether an account with this role may read and moderate what belongs to others."""
    return role >= ADMIN


def may_manage(group_role: int) -> bool:
    """Whether a member with this role in a group may act on its other members and on their messages."""
    return group_role >= GROUP_MANAGER
