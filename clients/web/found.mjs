// What a search finds besides videos: users, groups and tags.
import { get } from "./api.mjs";
import { h } from "./dom.mjs";
import { t } from "./i18n.mjs";
import { userLink } from "./ui.mjs";
import { foundGroup } from "./views/groups.mjs";

export async function foundBesides(query) {
  const { users, groups, tags } = await get("/api/search", { query, limit: 5 });
  if (!users.length && !groups.length && !tags.length) return null;
  return h("section", { class: "besides", "aria-label": t("search.besides") },
    tags.length > 0 && h("nav", { class: "tags", "aria-label": t("search.tags") }, tags.map(({ tag, video_count }) =>
      h("a", { href: `#/feed/tag/${encodeURIComponent(tag)}` }, `#${tag} (${video_count})`))),
    h("ul", { class: "rows" }, users.map((one) => h("li", null, userLink(one.id, one))), groups.map((one) => foundGroup(one))));
}
