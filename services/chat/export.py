"""The lists of a user's export that come from the chat service: what they wrote, not what others wrote to them."""

from services.exports.servicers import UserList

LISTS = (
    UserList(
        "conversations",
        """SELECT conversation_id AS a, 0 AS b, conversation_id, group_id, nullif(low_id + high_id - :user_id, 0) AS
            peer_id, title, joined_seq, delivered_seq, read_seq, hidden_seq, pinned, muted, muted_until, left_at
        FROM conversation_member JOIN conversation ON id = conversation_id
        WHERE user_id = :user_id AND left_at IS NULL""",
    ),
    # By way of their conversations, former ones too, as no index finds messages by their sender alone.
    UserList(
        "messages",
        """SELECT theirs.conversation_id AS a, written.seq AS b, written.* FROM conversation_member theirs, LATERAL (
            SELECT conversation_id, seq, id, content_type, body, reply_to_seq, created_at, edited_at, recalled_at
            FROM message WHERE conversation_id = theirs.conversation_id AND sender_id = :user_id
            AND seq > CASE WHEN theirs.conversation_id = :a THEN :b ELSE 0 END ORDER BY seq LIMIT :most) written
        WHERE (user_id = :user_id AND left_at IS NULL OR user_id = :user_id AND left_at IS NOT NULL)
        AND theirs.conversation_id >= :a""",
        most=50,
    ),
    UserList(
        "reactions",
        """SELECT conversation_id AS a, seq AS b, conversation_id, seq, string_agg(emoji, ' ' ORDER BY emoji) AS emoji,
            min(created_at) AS created_at FROM reaction WHERE user_id = :user_id GROUP BY conversation_id, seq""",
    ),
    UserList(
        "pinned_messages",
        """SELECT conversation_id AS a, seq AS b, conversation_id, seq, pinned_at FROM pinned_message
        WHERE pinned_by = :user_id""",
    ),
    UserList(
        "notifications",
        """SELECT id AS a, 0 AS b, kind, actor_count, subject, created_at, read_at
        FROM notification WHERE user_id = :user_id""",
    ),
    # Without the keys and the address: who has these can push to the device.
    UserList(
        "push_devices",
        "SELECT id AS a, 0 AS b, kind, session_id, created_at FROM push_device WHERE user_id = :user_id",
    ),
    UserList(
        "push_settings",
        """SELECT 1 AS a, 0 AS b, content, quiet_from, quiet_until, time_zone, muted_kinds FROM push_setting
        WHERE user_id = :user_id""",
    ),
    UserList(
        "muted_notifications",
        "SELECT hashtextextended(kind, 0) AS a, 0 AS b, kind FROM notification_mute WHERE user_id = :user_id",
    ),
)
