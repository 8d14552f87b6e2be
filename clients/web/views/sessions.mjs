// Where you are signed in.
import { get, post } from "../api.mjs";
import { fill, h } from "../dom.mjs";
import { settingsHead } from "../forms.mjs";
import { t, time } from "../i18n.mjs";
import { action, paged, toast } from "../ui.mjs";

export async function view() {
  const all = h("div");
  const draw = () => {
    const list = h("ul", { class: "rows" });
    fill(all, list, paged(list, page, row, t("empty.sessions")));
  };
  draw();
  return {
    content: [
      settingsHead("sessions"), all,
      action(t("sessions.others"), async () => {
        await post("/api/user/revoke-other-sessions");
        toast(t("sessions.ended"));
        draw();
      }, { name: "end-others" }),
    ],
    title: t("page.sessions"), className: "narrow",
  };
}

async function page(cursor) {
  const { sessions, next_cursor } = await get("/api/user/sessions", { cursor });
  return { items: sessions, next_cursor };
}

function row(one) {
  const element = h("li", null, h("span", { class: "lines" }, h("span", null, one.device || "?"),
    h("span", { class: "hint" }, `${one.ip} · ${time(one.last_seen_at)}`)),
  one.current ? h("span", { class: "online" }, t("sessions.this")) : action(t("console.end"), async () => {
    await post("/api/user/revoke-session", { session_id: one.session_id });
    element.remove();
  }, { name: "end-session" }));
  return element;
}
