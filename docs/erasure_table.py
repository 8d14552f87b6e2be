"""What erasing an account does to each column with a user's id or content; `make docs` writes erasure.md.

tests/test_erasure.py compares this with the schemas that the migrations make, column by column: a new table or column
belongs in here, as the user's or as nobody's.
"""

from typing import NamedTuple


class Table(NamedTuple):
    personal: str  # columns with a user's id or content
    other: str  # columns that say nothing of a user by themselves
    erasure: str


ROW_GOES = "The rows are deleted."
EXPIRES = "Deleted `HITOK_OUTBOX_DAYS` after publishing; the event stream keeps its copy 7 days."
EVENTS = {
    "outbox": Table("subject aggregate data", "id occurred_at published_at trace", EXPIRES),
    "inbox": Table("", "consumer event handled_at", "Holds ids of events only."),
    "dead_letter": Table(
        "subject data error",
        "id consumer event died_at",
        "**Stays** until the operator has replayed or deleted the event.",
    ),
}
ID_STAYS = "The id stays; it names an emptied account."
CASE_ENDS = "Deleted `HITOK_CASE_DAYS` after its case was closed (docs/moderation.md)."

TABLES: dict[str, dict[str, Table]] = {
    "user": {
        "account": Table(
            "id username username_key username_skeleton nickname avatar bio sex email phone password_hash client_ip"
            " client_port device",
            "phone_proven_at role role_set_by_admin created_at updated_at login_at heartbeat_at logout_at is_logout"
            " disabled_at suspended_until banned_at profile_hidden_at"
            " deleted_at erased_again_at searchable_by_phone searchable_by_email",
            "Emptied at once. The id stays, since other rows name it; so do the times and the role.",
        ),
        "session": Table(
            "user_id device ip",
            "id created_at last_seen_at expires_at revoked_at refresh_id previous_refresh_id refreshed_at",
            "Ended at once, device and address emptied; the row is deleted 30 days after it would have expired.",
        ),
        "role_change": Table("user_id by_user_id", "id old_role new_role changed_at", f"{ID_STAYS} It is an audit."),
        "known_network": Table("user_id network", "seen_at", f"{ROW_GOES} At once."),
        "email_change": Table("user_id old_email", "id changed_at next_try_at", f"{ROW_GOES} At once."),
        "moderation_case": Table(
            "subject_id owner_id conversation_id seq snapshot claimed_by",
            "id kind report_count claimed_until created_at updated_at closed_at outcome",
            f"The snapshot of what the user published is emptied. {ID_STAYS} {CASE_ENDS}",
        ),
        "moderation_report": Table(
            "reporter_id reason note snapshot",
            "id case_id created_at",
            f"Those that the user made: {ROW_GOES} Those about the user: note and snapshot are emptied. {CASE_ENDS}",
        ),
        "moderation_appeal": Table(
            "user_id text answer decided_by",
            "id act_id created_at decided_at granted",
            f"Emptied at once. {ID_STAYS} {CASE_ENDS}",
        ),
        "moderation_act": Table(
            "moderator_id owner_id note reversed_by reversal_note",
            "id case_id verb created_at until reversed_at",
            f"{ID_STAYS} It is an audit. {CASE_ENDS}",
        ),
        "password_guess": Table("subject", "full_at", "A keyed hash; deleted within a day."),
        "second_factor": Table("user_id secret", "turned_on_at last_step", f"{ROW_GOES} At once."),
        "recovery_code": Table("user_id digest", "", f"{ROW_GOES} At once."),
        "export_link": Table(
            "user_id",
            "id address requested_at expires_at claimed_until done total ready_at rows files bytes opened_at "
            "downloaded_bytes downloaded_at",
            f"{ROW_GOES} At once, and when the link has expired.",
        ),
        "audit": Table(
            "actor_id operator target_id reason details",
            "id at act target_kind key",
            f"{ID_STAYS} What operators, admins and moderators wrote of the act stays with it. The row "
            "is deleted after `HITOK_AUDIT_DAYS`.",
        ),
        **EVENTS,
    },
    "social": {
        "friendship": Table("user_id friend_id remark", "id source agreed created_at", ROW_GOES),
        "friend_request": Table(
            "from_id to_id message", "id requested_at result handled_at hidden", f"{ROW_GOES} Of either side."
        ),
        "refusal": Table("user_id peer_id", "created_at", f"{ROW_GOES} Of either side."),
        "contact_settings": Table(
            "user_id", "who_may_add who_sees_presence who_sees_last_login who_may_follow who_may_mention", ROW_GOES
        ),
        "block": Table("user_id blocked_id", "id created_at", f"{ROW_GOES} Of either side."),
        "follow": Table("user_id followed_id", "id pending created_at", f"{ROW_GOES} Of either side."),
        "follow_count": Table("user_id", "followers following", ROW_GOES),
        "mute": Table("user_id muted_id", "id created_at", f"{ROW_GOES} Of either side."),
        "muted_word": Table("user_id word", "created_at", ROW_GOES),
        "group": Table(
            "name name_key icon description owner_id announcement announced_by",
            "id approval member_count created_at updated_at dismissed_at hidden_at moderation_event",
            "The group goes to its oldest manager or member, and what was written of it is the group's and stays."
            f" Without other members it is dismissed, which empties its row. `owner_id` and `announced_by`: {ID_STAYS}",
        ),
        "member": Table(
            "user_id inviter_id", "id group_id role joined_at", f"{ROW_GOES} `inviter_id` of others: {ID_STAYS}"
        ),
        "join_request": Table(
            "user_id message inviter_id handler_id",
            "id group_id requested_at handled_at result hidden",
            f"{ROW_GOES} `inviter_id` and `handler_id` of others' rows: {ID_STAYS}",
        ),
        "invitation": Table("user_id inviter_id", "group_id created_at", f"{ROW_GOES} Of either side."),
        **EVENTS,
    },
    "media": {
        "video": Table(
            "owner_id title description type video_url cover_url object_hash captioned_hls words tags mentions"
            " mentions_told",
            "id visibility publish_as cover_at words_version like_count comment_count share_count view_count score"
            " random_key created_at updated_at deleted_at moderation_event who_may_comment pinned_at pinned_comment_id",
            f"Emptied in small transactions. {ID_STAYS} In `mentions` of others, too.",
        ),
        "video_tag": Table("owner_id name", "video_id visibility day", f"{ROW_GOES} With the video."),
        "tag": Table("name", "id video_count", "The counts fall with the videos; a tag of none is deleted."),
        "tag_day": Table("name", "id day authors", "The counts fall with the videos. Days are deleted after 14 days."),
        "caption": Table(
            "label object_hash segments_hash playlist_hash",
            "video_id language created_at",
            f"{ROW_GOES} With the video, and their bytes.",
        ),
        "comment": Table(
            "user_id owner_id content mentions mentions_told",
            "id video_id father_id reply_to_id like_count reply_count created_at updated_at deleted_at"
            " hidden_at moderation_event edited_at",
            f"Emptied in small transactions. {ID_STAYS}",
        ),
        "comment_edit": Table("content", "id comment_id replaced_at", f"{ROW_GOES} With the comment."),
        "video_like": Table("user_id", "video_id id withdrawn created_at", ROW_GOES),
        "comment_like": Table("user_id", "comment_id withdrawn created_at", ROW_GOES),
        "video_share": Table("user_id", "video_id created_at", ROW_GOES),
        "saved_video": Table("user_id", "video_id id collection_id created_at", ROW_GOES),
        "collection": Table("user_id name", "id created_at", ROW_GOES),
        "shelf": Table(
            "owner_id", "public_count friends_count private_count", f"The counts fall to 0 with the videos. {ID_STAYS}"
        ),
        "tally": Table("", "slot public_count", "A count of all users' videos."),
        "watched_video": Table("user_id video_id", "share watched_at", ROW_GOES),
        "not_interested": Table("user_id", "video_id owner_id tag id created_at", ROW_GOES),
        "for_you_setting": Table("user_id", "chronological reset_at", ROW_GOES),
        "near_videos": Table("", "video_id near_ids weights like_count", "Deleted some time after the video."),
        "following_seen": Table("user_id video_id", "seen_at", ROW_GOES),
        "standing": Table(
            "user_id peer_id",
            "friend blocks blocked friend_event blocks_event blocked_event follows follows_event",
            f"{ROW_GOES} Of either side.",
        ),
        "object": Table(
            "hash extension kind media_type size width height duration codec reason blurhash",
            "state held_at created_at",
            "The rows and the bytes are deleted, unless another user uploaded the same file or shows it.",
        ),
        "upload": Table("object_hash user_id size", "created_at renewed_at", ROW_GOES),
        "object_reference": Table("object_hash owner_id", "video_id visibility", f"{ROW_GOES} With the video."),
        "derivative": Table("source_hash object_hash", "profile", f"{ROW_GOES} With the file, and their bytes."),
        "job": Table("object_hash reason", "profile due_at attempts started_at progress", f"{ROW_GOES} With the file."),
        "partial_upload": Table(
            "user_id size metadata object_hash", "id received expires_at", f"{ROW_GOES} With the bytes received."
        ),
        "part": Table("key", "upload_id start size", f"{ROW_GOES} With the upload they belong to."),
        "backup": Table("", "id began_at verified_at", "Holds times only; what backups keep, see above."),
        "deletion": Table("key", "id created_at", "Deleted as soon as the store has deleted the bytes."),
        "leaver": Table("user_id", "created_at", "Deleted when everything else of the account is erased."),
        **EVENTS,
    },
    "chat": {
        "conversation": Table(
            "low_id high_id title",
            "id kind group_id last_seq rev member_count complete event_id created_at active_at dismissed_at pins_rev",
            f"{ID_STAYS} The title is the group's, and empty once it is dismissed.",
        ),
        "conversation_member": Table(
            "user_id delivered_seq read_seq hidden_seq pinned muted muted_until",
            "conversation_id rev joined_seq joined_rev left_seq left_at event_id request marks_rev",
            f"The member leaves, and what they set for themselves is unset. {ID_STAYS}",
        ),
        "marks_rev": Table("user_id", "rev", ROW_GOES),
        "hidden_message": Table(
            "sender_id body size words mentions", "conversation_id seq event_id", f"{ROW_GOES} Of their own messages."
        ),
        "message": Table(
            "id sender_id client_msg_id body size mentions words",
            "conversation_id seq rev content_type reply_to_seq words_version created_at edited_at recalled_at",
            f"Emptied in small transactions, like one that its sender recalled. {ID_STAYS}",
        ),
        "reaction": Table(
            "user_id emoji",
            "conversation_id seq created_at",
            f"{ROW_GOES} In small transactions; also those to their messages.",
        ),
        "reaction_summary": Table("", "conversation_id seq rev counts", "Counts fall with the reactions."),
        "pinned_message": Table("pinned_by", "conversation_id seq pinned_at", f"{ID_STAYS} It goes with the message."),
        "push_device": Table("user_id address digest p256dh auth", "id session_id kind created_at", ROW_GOES),
        "push_setting": Table("user_id content quiet_from quiet_until time_zone muted_kinds", "", ROW_GOES),
        "away_conversation": Table("", "conversation_id seen_seq due_at", "Says nothing of a user."),
        "away_push": Table(
            "user_id topic conversation_id notification_id",
            "id device_id first_seq last_seq created_at due_at attempts sending done_at",
            ROW_GOES,
        ),
        "push": Table("subject header payload", "id due_at", "Deleted within seconds, when the frame is published."),
        "notification": Table(
            "user_id actor_ids subject",
            "id kind event topic actor_count created_at read_at",
            f"{ROW_GOES} Also those of others that quote the user's request. In the rest of them: {ID_STAYS}",
        ),
        "notification_mute": Table("user_id", "kind", ROW_GOES),
        "block": Table(
            "user_id blocked_id positions", "event_id blocked", f"{ROW_GOES} `blocked_id` of others: {ID_STAYS}"
        ),
        "mute": Table("user_id muted_id", "event_id muted", f"{ROW_GOES} Of either side."),
        "muted_words": Table("user_id words", "event_id", ROW_GOES),
        "user_last_seen": Table("user_id", "seen_at", ROW_GOES),
        "leaver": Table("user_id", "conversation_id created_at", "Deleted when what the account wrote is erased."),
        **EVENTS,
    },
}


def page() -> str:
    """docs/erasure.md."""
    lines = [
        "# What erasing an account does",
        "",
        "`make docs` writes this page from `docs/erasure_table.py`, which a test compares with the schemas: no table",
        "and no column can be forgotten. `POST /api/user/delete-account` empties the account in one transaction and",
        "announces it; the other services erase what they hold when they hear of it. An hour later it is announced",
        "again, since an upload or an event may have been under way. Backups made before keep their data. Valkey holds",
        "ids and hashes that expire within a day.",
    ]
    for service, tables in TABLES.items():
        lines += ["", f"## {service}", "", "| table | columns of a user | what erasure does |", "|---|---|---|"]
        for name, table in tables.items():
            columns = " ".join(f"`{column}`" for column in table.personal.split())
            lines.append(f"| `{name}` | {columns} | {table.erasure} |")
    return "\n".join(lines) + "\n"
