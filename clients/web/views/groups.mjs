// Your groups, a search for others, and a form to make one.
import { field, fill, h } from "../dom.mjs";
import { create, groupPage, join, searchGroups } from "../groups.mjs";
import { t } from "../i18n.mjs";
import { action, attempt, avatar, paged, section, toast } from "../ui.mjs";

export async function view() {
  const found = h("div"), mine = h("div");
  const drawMine = () => {
    const list = h("ul", { class: "rows" });
    fill(mine, list, paged(list, groupPage, (one) => h("li", null, groupLink(one)), t("empty.groups")));
  };
  const search = h("form", { role: "search", class: "row", onsubmit: (event) => {
    event.preventDefault();
    const words = event.target.elements.words.value.trim(), list = h("ul", { class: "rows" });
    if (words) fill(found, list, paged(list, (cursor) => searchGroups(words, cursor), (one) => foundGroup(one, drawMine), t("empty.foundGroups")));
  } },
  h("input", { name: "words", type: "search", required: true, "aria-label": t("search.groups"), placeholder: t("search.groups") }),
  h("button", { class: "primary" }, t("search")));
  drawMine();
  return {
    content: [h("h1", null, t("groups")), search, found, section(t("groups.yours"), mine), section(t("groups.create"), createForm(drawMine))],
    title: t("groups"), className: "narrow",
  };
}

const groupLink = (one) => h("a", { class: "user", href: `#/group/${one.id}` },
  avatar({ username: one.name, avatar: one.img }),
  h("span", { class: "lines" }, h("span", { class: "name" }, one.name), h("span", { class: "hint preview" }, t("groups.size", { n: one.member_count }))));

/** A group with a button to join it; `joined` is called then. */
export function foundGroup(one, joined = () => {}) {
  return h("li", null, groupLink(one), action(one.approval ? t("groups.apply") : t("groups.join"), async (event) => {
    await join(one.id);
    event.target.replaceWith(h("span", { class: "hint" }, one.approval ? t("groups.applied") : t("groups.joined")));
    joined();
  }, { name: "join" }));
}

function createForm(created) {
  return h("form", { onsubmit: (event) => {
    event.preventDefault();
    const { name, desc, approval } = event.target.elements;
    attempt(async () => {
      await create(name.value.trim(), desc.value.trim(), approval.checked);
      event.target.reset();
      toast(t("groups.created"));
      created();
    });
  } },
  field(t("groups.name"), { name: "name", maxlength: 50, required: true }),
  field(t("description"), { name: "desc", maxlength: 200 }),
  h("label", { class: "row check" }, h("input", { type: "checkbox", name: "approval" }), h("span", null, t("groups.approval"))),
  h("button", { class: "primary", name: "create" }, t("groups.create")));
}
