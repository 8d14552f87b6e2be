"""The lists of a user's export that come from the user service."""

from services.exports.servicers import UserList

LISTS = (
    UserList(
        "account",
        """SELECT id AS a, 0 AS b, id, username, nickname, avatar, bio, sex, email, phone, phone_proven_at, role,
            created_at, updated_at, login_at, heartbeat_at, logout_at, client_ip, client_port, device,
            searchable_by_phone, searchable_by_email
        FROM account WHERE id = :user_id AND deleted_at IS NULL""",
    ),
    UserList(
        "sessions",
        """SELECT id AS a, 0 AS b, id, device, ip, created_at, last_seen_at, expires_at, revoked_at
        FROM session WHERE user_id = :user_id""",
    ),
    UserList(
        "role_changes",
        "SELECT id AS a, 0 AS b, old_role, new_role, changed_at FROM role_change WHERE user_id = :user_id",
    ),
    UserList(
        "replaced_emails",
        "SELECT id AS a, 0 AS b, old_email, changed_at FROM email_change WHERE user_id = :user_id",
    ),
)
