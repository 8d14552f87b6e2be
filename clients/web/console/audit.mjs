// What operators, admins and moderators did, the newest first.
import { get } from "../api.mjs";
import { h } from "../dom.mjs";
import { t, time } from "../i18n.mjs";
import { paged, userLink } from "../ui.mjs";
import { consoleUser } from "./subjects.mjs";

export async function view() {
  const list = h("ul", { class: "rows" });
  const read = async (cursor) => {
    const page = await get("/api/admin/audit", { cursor });
    return { items: page.entries, next_cursor: page.next_cursor };
  };
  return { content: [h("h1", null, t("console.audit")), list, paged(list, read, row, t("empty.audit"))], title: t("console.audit"), className: "narrow" };
}

const row = (entry) => h("li", null,
  entry.actor_id ? consoleUser(userLink(entry.actor_id)) : h("span", null, entry.operator || t("console.operator")),
  h("strong", null, entry.act), h("span", null, `${entry.target_kind} ${entry.target_id}`),
  h("time", { class: "hint" }, time(entry.at)), entry.reason && h("q", null, entry.reason));
