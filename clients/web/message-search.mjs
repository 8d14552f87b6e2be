// Search in one's messages: a line to type in, and what is found below it.
import { get } from "./api.mjs";
import { conversations } from "./chat.mjs";
import { fill, h } from "./dom.mjs";
import { t, when } from "./i18n.mjs";
import { textOf } from "./messages.mjs";
import { nameOf, paged } from "./ui.mjs";

const KINDS = ["text", "image", "video", "audio", "file"];

/** `onSearch(isSearching)` is told whether something is looked for. */
export function messageSearch(onSearch) {
  const found = h("div");
  const text = h("input", { name: "messages", type: "search", maxlength: 200, "aria-label": t("messages.search"), placeholder: t("messages.search") });
  const kind = h("select", { name: "kind", "aria-label": t("messages.kind"), onchange: () => search() },
    h("option", { value: "" }, t("messages.any")), KINDS.map((each) => h("option", { value: each }, t(`messages.kind.${each}`))));
  const search = () => {
    const words = text.value.trim(), content_types = kind.value;
    onSearch(Boolean(words || content_types));
    if (!words && !content_types) return fill(found);
    const list = h("ul", { class: "rows found" });
    return fill(found, list, paged(list, async (cursor) => {
      const page = await get("/api/chat/search", { text: words, content_types, cursor });
      return { items: page.messages, next_cursor: page.next_cursor };
    }, row, t("empty.found")));
  };
  return h("div", null, h("form", { class: "row", role: "search", onsubmit: (event) => {
    event.preventDefault();
    search();
  } }, text, kind), found);
}

function row(message) {
  const title = conversations.get(message.conversation_id)?.title;
  return h("li", null, h("a", { class: "user", href: `#/chat/${message.conversation_id}` },
    h("span", { class: "lines" }, h("span", { class: "name" }, nameOf(message.sender_id), title ? ` · ${title}` : ""),
      h("span", { class: "hint preview" }, textOf(message)))),
  h("time", { class: "hint", datetime: message.created_at }, when(message.created_at)));
}
