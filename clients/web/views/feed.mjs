// The feed: one video fills the view; it plays while it is in view.
import { get, post } from "../api.mjs";
import { h } from "../dom.mjs";
import { whyButton } from "../for-you.mjs";
import { t } from "../i18n.mjs";
import { paged } from "../ui.mjs";
import { videoCard } from "../video-card.mjs";

const ORDERS = ["for-you", "latest", "following", "popular", "random"];
const FOLLOWING = "/api/videos/following-videos";

/** `order` is one of ORDERS, "search" with words, or "tag" with its name. */
export async function view(order = "latest", words = "") {
  const list = h("div", { class: "videos" });
  const searches = order === "search";
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
    return card;
  };
  const search = h("form", { role: "search", onsubmit: (event) => {
    event.preventDefault();
    const typed = event.target.elements.words.value.trim();
    const place = /^[#＃]\S+$/u.test(typed) ? `tag/${encodeURIComponent(typed.slice(1))}` : `search/${encodeURIComponent(typed)}`;
    location.hash = typed ? `#/feed/${place}` : "#/";
  } }, h("input", { name: "words", type: "search", value: order === "tag" ? `#${words}` : words, placeholder: t("search.videos"), "aria-label": t("search.videos") }));
  const bar = h("div", { class: "bar" },
    h("div", { class: "tabs" }, ORDERS.map((name) =>
      h("a", { href: `#/feed/${name}`, "aria-current": name === order && "page" }, t(`order.${name}`)))),
    search, await trending(order === "tag" && words));
  return {
    content: [h("h1", { class: "unseen" }, order === "tag" ? `#${words}` : t("nav.feed")), bar, list, paged(list, read, show, order === "for-you" ? t("empty.for-you") : t("empty.videos"))],
    className: "feed",
  };
}

/** The tags of the day. Without them the feed is still there. */
async function trending(shown) {
  const { tags } = await get("/api/tags/trending", { limit: 5 }).catch(() => ({ tags: [] }));
  return tags.length > 0 && h("nav", { class: "tags", "aria-label": t("tags.trending") }, tags.map(({ tag }) =>
    h("a", { href: `#/feed/tag/${encodeURIComponent(tag)}`, "aria-current": tag === shown && "page" }, `#${tag}`)));
}

/** The first page marks its newest video as seen. */
async function following(cursor) {
  const page = await get(FOLLOWING, { cursor });
  if (!cursor && page.data.length) await post("/api/videos/mark-following-seen", { video_id: page.data[0].id });
  return page;
}
