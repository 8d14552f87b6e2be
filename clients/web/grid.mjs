// Videos as covers that link to them.
import { h, sized } from "./dom.mjs";
import { t } from "./i18n.mjs";
import { paged } from "./ui.mjs";
import { get } from "./api.mjs";

/** `path` lists videos; `query` goes with it. */
export function videoGrid(path, query = {}) {
  const grid = h("div", { class: "grid" });
  const read = async (cursor) => {
    const page = await get(path, { ...query, cursor, page_size: 24 });
    return { items: page.data, next_cursor: page.next_cursor };
  };
  const show = (video) => h("a", { href: `#/v/${video.id}`, "aria-label": video.title },
    video.cover ? h("img", { src: sized(video.cover, 256), alt: "", loading: "lazy" }) : h("span", { class: "hint" }, t(`status.${video.status}`)),
    h("span", { class: "caption" }, video.pinned && `${t("mark.pinned")} · `, video.title));
  return [grid, paged(grid, read, show, t("empty.videos"))];
}
