"""The lists of a user's export that come from the social service."""

from services.exports.servicers import UserList

LISTS = (
    UserList(
        "friends",
        """SELECT id AS a, 0 AS b, friend_id, remark, agreed, created_at
        FROM friendship WHERE user_id = :user_id""",
    ),
    UserList(
        "friend_requests_sent",
        """SELECT id AS a, 0 AS b, to_id, message, requested_at, result, handled_at
        FROM friend_request WHERE from_id = :user_id""",
    ),
    UserList(
        "friend_requests_received",
        """SELECT id AS a, 0 AS b, from_id, message, requested_at, result, handled_at
        FROM friend_request WHERE to_id = :user_id AND NOT hidden""",
    ),
    UserList(
        "groups",
        """SELECT member.id AS a, 0 AS b, group_id, name, description, announcement, role, joined_at,
            owner_id = :user_id AS owned
        FROM member JOIN "group" ON "group".id = group_id WHERE user_id = :user_id""",
    ),
    UserList(
        "applications",
        """SELECT id AS a, 0 AS b, group_id, message, requested_at, result, handled_at
        FROM join_request WHERE user_id = :user_id""",
    ),
    UserList("blocked", "SELECT id AS a, 0 AS b, blocked_id, created_at FROM block WHERE user_id = :user_id"),
    UserList(
        "following",
        "SELECT id AS a, 0 AS b, followed_id, pending AS requested, created_at FROM follow WHERE user_id = :user_id",
    ),
    UserList(
        "followers",
        """SELECT id AS a, 0 AS b, user_id AS follower_id, pending AS requested, created_at
        FROM follow WHERE followed_id = :user_id""",
    ),
    UserList("muted", "SELECT id AS a, 0 AS b, muted_id, created_at FROM mute WHERE user_id = :user_id"),
    UserList(
        "muted_words",
        """SELECT user_id AS a, 0 AS b, array_agg(word ORDER BY word) AS words
        FROM muted_word WHERE user_id = :user_id GROUP BY user_id""",
    ),
    UserList(
        "settings",
        """SELECT user_id AS a, 0 AS b, who_may_add, who_sees_presence, who_sees_last_login,
            who_may_follow, who_may_mention
        FROM contact_settings WHERE user_id = :user_id""",
    ),
)
