// What others did that concerns you, the newest first.
import { chat } from "../chat.mjs";
import { fill, h } from "../dom.mjs";
import { t, time } from "../i18n.mjs";
import { describe, linkOf, markSeen, page } from "../notifications.mjs";
import { attempt, paged } from "../ui.mjs";

export async function view() {
  const all = h("div");
  const draw = () => {
    const list = h("ul", { class: "rows" });
    fill(all, list, paged(list, page, row, t("empty.notifications")));
  };
  draw();
  await attempt(markSeen);
  chat.dispatchEvent(new Event("change"));
  chat.addEventListener("notification", draw);
  return {
    content: [h("h1", null, t("nav.bell")), all], title: t("nav.bell"), className: "narrow",
    leave: () => chat.removeEventListener("notification", draw),
  };
}

function row(notification) {
  const link = h("a", { href: linkOf(notification) });
  describe(notification).then((text) => { link.textContent = text; });
  return h("li", { class: notification.unread ? "notice new" : "notice" }, link, h("time", { class: "hint" }, time(notification.created_at)));
}
