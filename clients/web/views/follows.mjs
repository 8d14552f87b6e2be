// Who follows a user, whom they follow and, for oneself, who asks to.
import { get, post } from "../api.mjs";
import { fill, h } from "../dom.mjs";
import { followButton, requestCount } from "../follows.mjs";
import { t } from "../i18n.mjs";
import { me } from "../session.mjs";
import { action, paged, userLink } from "../ui.mjs";

const LISTS = {
  followers: ["/api/contact/get-followers", followerRow],
  following: ["/api/contact/get-following", followedRow],
  requests: ["/api/contact/get-follow-requests", requestRow],
};

export async function view(which = "followers", id = me.id) {
  const isMine = id === me.id;
  const [path, row] = LISTS[which] ?? LISTS.followers;
  const asking = isMine ? await requestCount() : "";
  const rows = h("ul", { class: "rows" });
  const read = async (cursor) => {
    const page = await get(path, { ...(which !== "requests" && { user_id: id }), cursor });
    return { items: page.users, next_cursor: page.next_cursor };
  };
  const tab = (name, count) => h("a", { href: `#/follows/${name}/${id}`, "aria-current": name === which && "page" }, t(`follows.${name}`),
    count && h("span", { class: "badge" }, count));
  return {
    content: [
      h("header", { class: "row between" }, h("h1", null, t("follows")), h("a", { class: "button", href: `#/u/${id}` }, t("back"))),
      h("nav", { class: "tabs", "aria-label": t("follows") }, tab("followers"), tab("following"), isMine && tab("requests", asking)),
      rows, paged(rows, read, (of) => row(of, isMine), t(`empty.${which}`)),
    ],
    title: t("follows"), className: "narrow",
  };
}

const line = (of, ...actions) => h("li", null, userLink(of.id, of), of.is_mutual && h("span", { class: "hint" }, t("follow.mutual")), actions);

function followerRow(of, isMine) {
  return line(of, of.id !== me.id && followButton(of), isMine && action(t("remove"), async (event) => {
    if (!confirm(t("follows.remove.sure", { name: of.username }))) return;
    const row = event.target.closest("li");
    await post("/api/contact/remove-follower", { target_id: of.id });
    row.remove();
  }, { name: "remove-follower" }));
}

function followedRow(of) {
  return line(of, of.id !== me.id && followButton(of));
}

function requestRow(of) {
  const settle = (accept) => async (event) => {
    const row = event.target.closest("li");
    await post("/api/contact/handle-follow-request", { target_id: of.id, accept });
    row.remove();
    const left = await requestCount();
    document.querySelectorAll(".tabs .badge").forEach((badge) => (left ? fill(badge, left) : badge.remove()));
  };
  return line(of, action(t("accept"), settle(true), { class: "primary", name: "accept" }), action(t("refuse"), settle(false), { name: "refuse" }));
}
