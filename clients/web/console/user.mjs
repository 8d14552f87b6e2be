// A user: the account, its sessions, its videos, and what was decided about it.
import { get, post } from "../api.mjs";
import { h } from "../dom.mjs";
import { t, time } from "../i18n.mjs";
import { action, attempt, avatar, paged, section, toast } from "../ui.mjs";
import { actRow } from "./acts.mjs";

const ROLES = ["guest", "user", "member", "admin", "super"];

export async function view(id) {
  const of = await get("/api/user/get-user-info", { id });
  const sessions = h("ul", { class: "rows" }), videos = h("ul", { class: "rows" }), acts = h("ul", { class: "rows" });
  const again = () => dispatchEvent(new Event("hashchange"));
  return {
    content: [
      h("header", { class: "profile" }, avatar(of), h("div", null, h("h1", null, of.username), h("p", null, of.bio))),
      h("dl", { class: "facts" },
        [["id", of.id], ["email", of.email], ["created", time(Number(of.create_at))]].filter(([, value]) => value)
          .map(([name, value]) => [h("dt", null, t(`fact.${name}`)), h("dd", null, value)])),
      role(of),
      section(t("console.sessions"), sessions, paged(sessions, sessionPage(id), (one) => sessionRow(id, one), t("empty.sessions"))),
      section(t("profile.videos"), videos, paged(videos, videoPage(id), videoRow, t("empty.videos"))),
      section(t("case.before"), acts, paged(acts, actPage(id), (act) => actRow(act, again), t("empty.acts"))),
    ],
    title: of.username, className: "narrow",
  };
}

function role(of) {
  return h("label", { class: "field" }, h("span", null, t("console.role")),
    h("select", { name: "role", onchange: (event) => attempt(async () => {
      await post("/api/user/set-role", { id: of.id, role: Number(event.target.value) });
      toast(t("saved"));
    }) }, ROLES.map((name, number) => h("option", { value: String(number), selected: String(number) === of.role }, t(`role.${name}`)))));
}

const sessionPage = (user_id) => async (cursor) => {
  const page = await get("/api/admin/user-sessions", { user_id, cursor });
  return { items: page.sessions, next_cursor: page.next_cursor };
};

function sessionRow(user_id, one) {
  const row = h("li", null, h("span", { class: "lines" }, h("span", null, one.device || "?"),
    h("span", { class: "hint" }, `${one.ip} · ${time(one.last_seen_at)}`)),
  action(t("console.end"), async () => {
    await post("/api/admin/revoke-session", { user_id, session_id: one.session_id });
    row.remove();
  }, { name: "end-session" }));
  return row;
}

const videoPage = (user_id) => async (cursor) => {
  const page = await get("/api/videos/user-videos", { user_id, cursor, page_size: 20 });
  return { items: page.data, next_cursor: page.next_cursor };
};

const videoRow = (video) => h("li", null, h("a", { href: `#/video/${video.id}` }, video.title), h("span", { class: "hint" }, t(`status.${video.status}`)));

const actPage = (owner_id) => async (cursor) => {
  const page = await get("/api/moderation/acts", { owner_id, cursor });
  return { items: page.acts, next_cursor: page.next_cursor };
};
