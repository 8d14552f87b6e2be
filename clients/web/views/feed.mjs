// The feed: one video fills the view; it plays while it is in view.
import { get, post } from "../api.mjs";
import { h } from "../dom.mjs";
import { whyButton } from "../for-you.mjs";
import { foundBesides } from "../found.mjs";
import { t } from "../i18n.mjs";
import { suggestions } from "../suggestions.mjs";
import { paged } from "../ui.mjs";
import { videoCard } from "../video-card.mjs";

const ORDERS = ["for-you", "latest", "following", "popular", "random"];
const FOLLOWING = "/api/videos/following-videos";

/** `order` is one of ORDERS, "search" with words, or "tag" with its name. */
export async function view(order = "latest", words = "") {
  const list = h("div", { class: "videos" });
  const searches = order === "search";
  let seen = null; // of the followed: the newest video that the user had seen
  const following = async (cursor) => {
    const page = await get(FOLLOWING, { cursor });
    seen ??= BigInt(page.seen_id);
    if (!cursor && page.data.length) await post("/api/videos/mark-following-seen", { video_id: page.data[0].id });
    return page;
  };
  const read = async (cursor) => {
    const page = searches ? await get("/api/videos/search-videos", { query: words, cursor })
      : order === "tag" ? await get("/api/tags/videos", { tag: words, cursor })
        : order === "following" ? await following(cursor)
          : order === "for-you" ? await get("/api/videos/for-you", { cursor })
            : await get("/api/videos", { order_by: order, cursor });
    return { items: page.data, next_cursor: page.next_cursor };
  };
  const show = (data) => {
    const card = videoCard(data);
    if (order === "for-you") card.querySelector(".actions").append(whyButton(data, card));
    if (order === "following" && BigInt(data.id) > seen) card.append(h("span", { class: "badge new" }, t("following.new")));
    return card;
  };
  const [unseen, tags, besides] = await Promise.all([
    order === "following" ? "" : countUnseen(), trending(order === "tag" && words), searches && foundBesides(words).catch(() => null)]);
  return {
    content: [h("h1", { class: "unseen" }, order === "tag" ? `#${words}` : t("nav.feed")),
      h("div", { class: "bar" }, tabs(order, unseen), ...searchForm(order === "tag" ? `#${words}` : words), tags),
      besides, list, paged(list, read, show, order === "for-you" ? t("empty.for-you") : t("empty.videos"))],
    className: "feed",
  };
}

const tabs = (order, unseen) => h("div", { class: "tabs" }, ORDERS.map((name) =>
  h("a", { href: `#/feed/${name}`, "aria-current": name === order && "page" }, h("span", null, t(`order.${name}`),
    name === "following" && unseen && h("span", { class: "badge", "aria-label": t("following.unseen", { n: unseen }) }, unseen)))));

function searchForm(value) {
  const input = h("input", { name: "words", type: "search", value, placeholder: t("search.videos"), "aria-label": t("search.videos") });
  return [h("form", { role: "search", onsubmit: (event) => {
    event.preventDefault();
    const typed = input.value.trim();
    const place = /^[#＃]\S+$/u.test(typed) ? `tag/${encodeURIComponent(typed.slice(1))}` : `search/${encodeURIComponent(typed)}`;
    location.hash = typed ? `#/feed/${place}` : "#/";
  } }, input), suggestions(input)];
}

/** The tags of the day. Without them the feed is still there. */
async function trending(shown) {
  const { tags } = await get("/api/tags/trending", { limit: 5 }).catch(() => ({ tags: [] }));
  return tags.length > 0 && h("nav", { class: "tags", "aria-label": t("tags.trending") }, tags.map(({ tag }) =>
    h("a", { href: `#/feed/tag/${encodeURIComponent(tag)}`, "aria-current": tag === shown && "page" }, `#${tag}`)));
}

/** How many videos of those whom the user follows they have not seen, in words; "" if none. */
async function countUnseen() {
  const { count, more } = await get("/api/videos/following-unseen").catch(() => ({ count: 0 }));
  return more ? `${count}+` : String(count || "");
}
