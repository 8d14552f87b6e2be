// Search in one's messages: by words, kind, person and time, and what is found below.
import { get } from "./api.mjs";
import { conversations } from "./chat.mjs";
import { fill, h } from "./dom.mjs";
import { t, when } from "./i18n.mjs";
import { textOf } from "./messages.mjs";
import { me, user } from "./session.mjs";
import { nameOf, paged } from "./ui.mjs";

const KINDS = ["text", "image", "video", "audio", "file"];

/** `onSearch(isSearching)` is told whether something is looked for. */
export function messageSearch(onSearch) {
  const found = h("div");
  const text = h("input", { name: "messages", type: "search", maxlength: 200, "aria-label": t("messages.search"), placeholder: t("messages.search") });
  const select = (name, label, any, options) => h("select", { name, "aria-label": label, onchange: () => search() }, h("option", { value: "" }, any), options);
  const kind = select("kind", t("messages.kind"), t("messages.any"), KINDS.map((each) => h("option", { value: each }, t(`messages.kind.${each}`))));
  const sender = select("sender", t("messages.sender"), t("messages.anybody"), h("option", { value: me.id }, t("messages.me")));
  const day = (name, label) => h("label", { class: "field" }, h("span", null, label), h("input", { name, type: "date", onchange: () => search() }));
  const since = day("since", t("messages.since")), until = day("until", t("messages.until"));
  const search = () => {
    const words = text.value.trim(), asked = { content_types: kind.value, sender_id: sender.value, since: dayOf(since), until: dayOf(until, 1) };
    const isSearching = Boolean(words || asked.content_types || asked.sender_id);
    onSearch(isSearching);
    if (!isSearching) return fill(found);
    const list = h("ul", { class: "rows found" });
    return fill(found, list, paged(list, async (cursor) => {
      const page = await get("/api/chat/search", { text: words, ...asked, cursor });
      return { items: page.messages, next_cursor: page.next_cursor };
    }, row, t("empty.found")));
  };
  const more = h("details", { ontoggle: () => fillSenders(sender) }, h("summary", null, t("messages.more")),
    h("div", { class: "row" }, sender, since, until));
  return h("div", null, h("form", { class: "row", role: "search", onsubmit: (event) => {
    event.preventDefault();
    search();
  } }, text, kind), more, found);
}

/** When the day begins in this time zone, or one so many days later; "" if none is chosen. */
function dayOf(label, later = 0) {
  const { value } = label.querySelector("input"), day = new Date(`${value}T00:00`);
  if (!value) return "";
  day.setDate(day.getDate() + later);
  return day.toISOString();
}

/** Those with whom the user has a conversation of two. */
async function fillSenders(select) {
  const ids = [...conversations.values()].map(({ peer_id }) => peer_id).filter(Boolean);
  const known = new Set([...select.options].map(({ value }) => value));
  select.append(...await Promise.all(ids.filter((id) => !known.has(id)).map(async (id) => h("option", { value: id }, (await user(id)).username))));
}

function row(message) {
  const title = conversations.get(message.conversation_id)?.title;
  return h("li", null, h("a", { class: "user", href: `#/chat/${message.conversation_id}` },
    h("span", { class: "lines" }, h("span", { class: "name" }, nameOf(message.sender_id), title ? ` · ${title}` : ""),
      h("span", { class: "hint preview" }, textOf(message)))),
  h("time", { class: "hint", datetime: message.created_at }, when(message.created_at)));
}
