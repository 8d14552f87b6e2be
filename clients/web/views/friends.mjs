// Friends, requests from and to others, and a search for users.
import { chat } from "../chat.mjs";
import { fill, h } from "../dom.mjs";
import { answer, friendPage, online, request, requests, search, unfriend } from "../friends.mjs";
import { t } from "../i18n.mjs";
import { action, attempt, paged, section, userLink } from "../ui.mjs";

export async function view() {
  const found = h("div"), asked = h("section"), mine = h("section"), friends = h("div");
  const form = h("form", { role: "search", class: "row", onsubmit: (event) => {
    event.preventDefault();
    const words = event.target.elements.words.value.trim();
    if (words) showFound(found, words);
  } },
  h("input", { name: "words", type: "search", required: true, "aria-label": t("search.users"), placeholder: t("search.users") }),
  h("button", { class: "primary", name: "search" }, t("search")));
  const refresh = async () => {
    const [{ toMe, byMe }, present] = await Promise.all([requests(), online()]);
    fill(asked, toMe.length > 0 && section(t("friends.requests"), h("ul", { class: "rows" }, toMe.map((one) => requestRow(one, refresh)))));
    fill(mine, byMe.length > 0 && section(t("friends.sent"), h("ul", { class: "rows" }, byMe.map((one) => h("li", null, userLink(one.req_uid))))));
    const list = h("ul", { class: "rows" });
    fill(friends, list, paged(list, friendPage, (friend) => friendRow(friend, present, refresh), t("empty.friends")));
  };
  const heard = ({ detail }) => detail.kind.startsWith("friend_") && attempt(refresh);
  chat.addEventListener("notification", heard);
  await refresh();
  return {
    content: [h("h1", null, t("nav.friends")), form, found, asked, section(t("friends.yours"), friends), mine],
    title: t("nav.friends"), className: "narrow", leave: () => chat.removeEventListener("notification", heard),
  };
}

function showFound(found, words) {
  const list = h("ul", { class: "rows" });
  fill(found, list, paged(list, (cursor) => search(words, cursor), (one) => h("li", null, userLink(one.id, one),
    action(t("friends.add"), async (event) => {
      await request(one.id);
      event.target.replaceWith(h("span", { class: "hint" }, t("friends.asked")));
    }, { name: "add-friend" })), t("empty.users")));
}

function requestRow(one, refresh) {
  const settle = (accepts) => async () => {
    await answer(one.id, accepts);
    await attempt(refresh);
  };
  return h("li", null, userLink(one.user_id), one.req_msg && h("q", null, one.req_msg),
    action(t("accept"), settle(true), { class: "primary", name: "accept" }), action(t("refuse"), settle(false)));
}

function friendRow(friend, present, refresh) {
  return h("li", null,
    userLink(friend.friend_uid, { username: friend.nickname, ...friend }),
    present[friend.friend_uid] && h("span", { class: "online" }, t("online")),
    h("a", { class: "button", href: `#/chat/with/${friend.friend_uid}` }, t("message")),
    action(t("remove"), async () => {
      if (!confirm(t("friends.remove.sure", { name: friend.remark }))) return;
      await unfriend(friend.friend_uid);
      await refresh();
    }));
}
