// What one sets for a conversation for oneself: pinned, muted, hidden, deleted. No other member learns of it.
import { conversations, isMuted, mark } from "./chat.mjs";
import { dialog, h } from "./dom.mjs";
import { t, time } from "./i18n.mjs";
import { action } from "./ui.mjs";

const HOUR_MS = 3_600_000;
const MUTES = { hour: HOUR_MS, day: 24 * HOUR_MS, week: 7 * 24 * HOUR_MS, always: 0 };

export function openMarks(conversation_id) {
  const { hidden = false, pinned = false, muted_until, ...conversation } = conversations.get(conversation_id);
  const set = (label, name, route, change, sure = "") => action(label, async () => {
    if (sure && !confirm(sure)) return;
    await mark(route, { conversation_id, ...change });
    open.close();
    if (route === "delete" || change.hidden) location.hash = "#/chats";
  }, { name });
  const mutes = isMuted({ ...conversation, muted_until })
    ? [h("p", { class: "hint" }, t(muted_until ? "mark.muted-until" : "mark.muted", { at: muted_until && time(muted_until) })),
      set(t("unmute"), "unmute", "mute", { muted: false })]
    : [h("p", { class: "hint" }, t("mark.mute")), h("div", { class: "row" }, Object.entries(MUTES).map(([name, ms]) =>
      set(t(`mark.mute.${name}`), `mute-${name}`, "mute", ms ? { until: new Date(Date.now() + ms).toISOString() } : {})))];
  const open = dialog(t("mark.title"), t("close"), h("div", { class: "scroll marks" },
    set(t(pinned ? "mark.unpin" : "mark.pin"), "pin", "pin", { pinned: !pinned }),
    mutes,
    set(t(hidden ? "mark.show" : "mark.hide"), "hide", "hide", { hidden: !hidden }),
    set(t("mark.delete"), "delete", "delete", {}, t("mark.delete.sure"))));
}
