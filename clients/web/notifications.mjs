// Notifications: how many are unseen, what each says and where it leads.
import { get, post } from "./api.mjs";
import { has, t } from "./i18n.mjs";
import { me, user } from "./session.mjs";

const MODERATION = new Set(["moderation", "moderation_reversed", "appeal_decided", "report_closed"]);
let count = 0;
const heard = new Set(); // ids that came over the socket: a later one with the same id replaces the earlier

export const unseen = () => count;

export async function countUnseen() {
  heard.clear();
  count = me ? (await get("/api/chat/notifications", { limit: 1 })).unread : 0;
}

export function noticed(notification) {
  if (!notification.unread || heard.has(notification.notification_id)) return;
  heard.add(notification.notification_id);
  count += 1;
}

export async function markSeen() {
  await post("/api/chat/notifications/read", { all: true });
  heard.clear();
  count = 0;
}

export const page = async (cursor) => {
  const { notifications } = await get("/api/chat/notifications", { before: cursor, limit: 20 });
  return { items: notifications, next_cursor: notifications.length === 20 ? notifications.at(-1).notification_id : "" };
};

export async function describe({ kind, actor, subject }) {
  const name = actor.user_id ? (await user(actor.user_id)).username : "";
  const others = actor.count > 2 ? t("notice.others", { n: actor.count - 1 }) : actor.count === 2 ? t("notice.other") : "";
  const act = has(`act.${subject?.act}`) ? t(`act.${subject.act}`) : "";
  if (kind === "report_closed") return t(`notice.report_closed.${subject.outcome}`);
  if (kind === "appeal_decided") return t(`notice.appeal_decided.${subject.granted}`);
  return t(`notice.${kind}`, { act, note: subject?.note ?? "", name: name + others, group: subject?.group_name ?? "", title: subject?.title ?? "", emoji: subject?.emoji ?? "" });
}

export function linkOf({ kind, actor, subject }) {
  if (MODERATION.has(kind)) return "#/reports";
  if (subject?.video_id) return `#/v/${subject.video_id}`;
  if (subject?.conversation_id) return `#/chat/${subject.conversation_id}`;
  if (subject?.group_id) return `#/group/${subject.group_id}`;
  if (kind === "follow_request") return "#/follows/requests";
  return kind === "friend_request" ? "#/friends" : `#/u/${actor.user_id}`;
}
