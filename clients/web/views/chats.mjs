// The conversations, the most recently active first.
import { chat, conversations } from "../chat.mjs";
import { fill, h } from "../dom.mjs";
import { t, when } from "../i18n.mjs";
import { avatar, nameOf, section } from "../ui.mjs";
import { user } from "../session.mjs";
import { textOf } from "../messages.mjs";

export async function view() {
  const list = h("ul", { class: "rows" }), requests = h("div");
  const draw = () => {
    const all = [...conversations.values()].sort((a, b) => activity(b).localeCompare(activity(a)));
    const asking = all.filter((one) => one.request), rest = all.filter((one) => !one.request);
    fill(requests, asking.length > 0 && section(t("requests"), h("ul", { class: "rows" }, asking.map(row))));
    fill(list, rest.length ? rest.map(row) : h("li", { class: "hint" }, t("empty.chats")));
  };
  chat.addEventListener("change", draw);
  draw();
  return {
    content: [h("div", { class: "row between" }, h("h1", null, t("nav.chats")), h("a", { class: "button", href: "#/groups" }, t("groups"))), requests, list],
    title: t("nav.chats"), className: "narrow", leave: () => chat.removeEventListener("change", draw),
  };
}

const activity = (conversation) => conversation.last_message?.created_at ?? "";

function row(conversation) {
  const { last_message: last, unread } = conversation;
  const picture = h("span", null);
  if (conversation.peer_id) user(conversation.peer_id).then((of) => fill(picture, avatar(of)));
  else fill(picture, avatar({ username: conversation.title }));
  return h("li", { class: "conversation" }, h("a", { class: "user", href: `#/chat/${conversation.conversation_id}` },
    picture,
    h("span", { class: "lines" },
      conversation.peer_id ? nameOf(conversation.peer_id) : h("span", { class: "name" }, conversation.title || t("group")),
      h("span", { class: "hint preview" }, last && textOf(last)))),
  last && h("time", { class: "hint", datetime: last.created_at }, when(last.created_at)),
  unread > 0 && h("span", { class: "badge", "aria-label": t("unread", { n: unread }) }, unread > 99 ? "99+" : String(unread)));
}
