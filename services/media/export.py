"""The lists of a user's export that come from the media service. The gateway adds the bytes of the files."""

from services.exports.servicers import UserList

LISTS = (
    UserList(
        "videos",
        """SELECT id AS a, 0 AS b, id, title, description, type, video_url, cover_url, visibility, like_count,
            comment_count, share_count, view_count, tags, mentions, who_may_comment, pinned_at, created_at, updated_at
        FROM video WHERE owner_id = :user_id AND deleted_at IS NULL""",
    ),
    UserList(
        "comments",
        """SELECT id AS a, 0 AS b, id, video_id, father_id, reply_to_id, content::json, mentions, like_count,
            created_at, edited_at
        FROM comment WHERE user_id = :user_id AND deleted_at IS NULL""",
        most=200,
    ),
    UserList(
        "comment_edits",
        """SELECT e.id AS a, 0 AS b, comment_id, e.content::json, replaced_at
        FROM comment_edit e JOIN comment c ON c.id = comment_id WHERE user_id = :user_id AND deleted_at IS NULL""",
        most=200,
    ),
    UserList(
        "liked_videos",
        "SELECT id AS a, 0 AS b, video_id, created_at FROM video_like WHERE user_id = :user_id AND NOT withdrawn",
    ),
    UserList(
        "liked_comments",
        """SELECT comment_id AS a, 0 AS b, comment_id, created_at
        FROM comment_like WHERE user_id = :user_id AND NOT withdrawn""",
    ),
    UserList(
        "shared_videos", "SELECT video_id AS a, 0 AS b, video_id, created_at FROM video_share WHERE user_id = :user_id"
    ),
    UserList(
        "saved_videos",
        """SELECT s.id AS a, 0 AS b, video_id, name AS collection, s.created_at
        FROM saved_video s LEFT JOIN collection c ON c.id = collection_id WHERE s.user_id = :user_id""",
    ),
    UserList("collections", "SELECT id AS a, 0 AS b, id, name, created_at FROM collection WHERE user_id = :user_id"),
    UserList(
        "following_feed",
        "SELECT user_id AS a, 0 AS b, video_id AS seen_up_to, seen_at FROM following_seen WHERE user_id = :user_id",
    ),
    UserList(
        "watched_videos",
        """SELECT (extract(epoch FROM watched_at) * 1000000)::bigint AS a, video_id AS b, video_id, share, watched_at
        FROM watched_video WHERE user_id = :user_id""",
    ),
    UserList(
        "not_interested",
        """SELECT id AS a, 0 AS b, nullif(video_id, 0) AS video_id, nullif(owner_id, 0) AS owner_id,
            nullif(tag, '') AS tag, created_at FROM not_interested WHERE user_id = :user_id""",
    ),
    UserList(
        "for_you_feed",
        "SELECT user_id AS a, 0 AS b, chronological, reset_at FROM for_you_setting WHERE user_id = :user_id",
    ),
    UserList(
        "files",
        """SELECT (extract(epoch FROM upload.created_at) * 1000000)::bigint AS a, hashtextextended(hash, 0) AS b,
            hash || '.' || extension AS file, kind, media_type, object.size, upload.created_at AS uploaded_at
        FROM upload JOIN object ON hash = object_hash WHERE user_id = :user_id""",
    ),
)
