// Finds users by name, or by a whole phone number or email.
import { h } from "../dom.mjs";
import { search } from "../friends.mjs";
import { t } from "../i18n.mjs";
import { paged, userLink } from "../ui.mjs";
import { consoleUser } from "./subjects.mjs";

export async function view(words = "") {
  const list = h("ul", { class: "rows" });
  const form = h("form", { role: "search", class: "row", onsubmit: (event) => {
    event.preventDefault();
    location.hash = `#/users/${encodeURIComponent(event.target.elements.words.value.trim())}`;
  } },
  h("input", { name: "words", type: "search", value: words, required: true, "aria-label": t("search.users"), placeholder: t("search.users") }),
  h("button", { class: "primary" }, t("search")));
  const row = (one) => h("li", null, consoleUser(userLink(one.id, one)), h("span", { class: "hint" }, one.id));
  return {
    content: [h("h1", null, t("console.users")), form, words && [list, paged(list, (cursor) => search(words, cursor), row, t("empty.users"))]],
    title: t("console.users"), className: "narrow",
  };
}
