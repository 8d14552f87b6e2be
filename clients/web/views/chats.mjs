// The conversations: the pinned ones, then the most recently active. The hidden ones have a list of their own.
import { chat, conversations, isMuted } from "../chat.mjs";
import { fill, h, icon } from "../dom.mjs";
import { t, when } from "../i18n.mjs";
import { avatar, nameOf, section } from "../ui.mjs";
import { user } from "../session.mjs";
import { messageSearch } from "../message-search.mjs";
import { textOf } from "../messages.mjs";

/** `which`: "hidden" for those. */
export async function view(which = "") {
  const list = h("ul", { class: "rows" }), requests = h("div"), other = h("p"), showsHidden = which === "hidden";
  const draw = () => {
    const all = [...conversations.values()].sort((a, b) => isPinned(b) - isPinned(a) || activity(b).localeCompare(activity(a)));
    const hidden = all.filter((one) => one.hidden && one.last_message), listed = all.filter((one) => !one.hidden); // a deleted one is empty
    const asking = listed.filter((one) => one.request && !showsHidden);
    const rest = showsHidden ? hidden : listed.filter((one) => !one.request);
    fill(requests, asking.length > 0 && section(t("requests"), h("ul", { class: "rows" }, asking.map(row))));
    fill(list, rest.length ? rest.map(row) : h("li", { class: "hint" }, t(showsHidden ? "empty.hidden" : "empty.chats")));
    fill(other, showsHidden ? h("a", { href: "#/chats" }, t("nav.chats"))
      : hidden.length > 0 && h("a", { href: "#/chats/hidden" }, t("chats.hidden", { n: hidden.length })));
  };
  chat.addEventListener("change", draw);
  draw();
  return {
    content: [h("div", { class: "row between" }, h("h1", null, t("nav.chats")), h("a", { class: "button", href: "#/groups" }, t("groups"))),
      messageSearch((isSearching) => [requests, list, other].forEach((each) => { each.hidden = isSearching; })), requests, list, other],
    title: t("nav.chats"), className: "narrow", leave: () => chat.removeEventListener("change", draw),
  };
}

const isPinned = (conversation) => Number(Boolean(conversation.pinned));
const activity = (conversation) => conversation.last_message?.created_at ?? "";

const state = (name, label) => h("span", { class: "hint", role: "img", "aria-label": label }, icon(name));

function row(conversation) {
  const { last_message: last, unread } = conversation;
  const picture = h("span", null);
  if (conversation.peer_gone) fill(picture, avatar({ username: conversation.title }));
  else if (conversation.peer_id) user(conversation.peer_id).then((of) => fill(picture, avatar(of)));
  else fill(picture, avatar({ username: conversation.title }));
  return h("li", { class: "conversation" }, h("a", { class: "user", href: `#/chat/${conversation.conversation_id}` },
    picture,
    h("span", { class: "lines" },
      conversation.peer_id && !conversation.peer_gone ? nameOf(conversation.peer_id) : h("span", { class: "name" }, conversation.title || t("group")),
      h("span", { class: "hint preview" }, last && textOf(last)))),
  conversation.pinned && state("pin", t("mark.pinned")), isMuted(conversation) && state("quiet", t("mark.muted")),
  last && h("time", { class: "hint", datetime: last.created_at }, when(last.created_at)),
  unread > 0 && h("span", { class: "badge", "aria-label": t("unread", { n: unread }) }, unread > 99 ? "99+" : String(unread)));
}
