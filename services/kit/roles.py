"""Role numbers, of accounts and in groups (docs/contract/api.md)."""

GUEST, USER, MEMBER, ADMIN, SUPER_ADMIN = range(5)  # of an account, in a token's `role`
GROUP_MEMBER, GROUP_MANAGER, GROUP_OWNER = range(3)  # in a group, stored and sent as these numbers


def is_admin(role: int) -> bool:
    """Whether an account with this role may read and moderate what belongs to others."""
    return role >= ADMIN
