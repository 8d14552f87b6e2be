// The videos that you saved, by collection.
import { get, post } from "../api.mjs";
import { h } from "../dom.mjs";
import { videoGrid } from "../grid.mjs";
import { t } from "../i18n.mjs";
import { action } from "../ui.mjs";

const redraw = (id) => {
  if (location.hash === `#/saved${id}`) dispatchEvent(new Event("hashchange"));
  else location.hash = `#/saved${id}`;
};

export async function view(shown = "") {
  const { collections, saved_count } = await get("/api/saved/collections");
  const one = collections.find(({ collection_id }) => collection_id === shown);
  const tab = (id, name, count) => h("a", { href: `#/saved${id && `/${id}`}`, "aria-current": id === (one ? shown : "") && "page" }, `${name} (${count})`);
  return {
    content: [
      h("h1", null, t("page.saved")),
      h("nav", { class: "tags", "aria-label": t("collections") }, tab("", t("collection.all"), saved_count),
        collections.map(({ collection_id, name, video_count }) => tab(collection_id, name, video_count))),
      one && h("div", { class: "row" },
        action(t("collection.rename"), async () => {
          const name = prompt(t("collection.name"), one.name);
          if (!name) return;
          await post("/api/saved/rename-collection", { collection_id: shown, name });
          redraw(`/${shown}`);
        }, { name: "rename-collection" }),
        action(t("delete"), async () => {
          if (!confirm(t("collection.sure"))) return;
          await post("/api/saved/delete-collection", { collection_id: shown });
          redraw("");
        }, { name: "delete-collection" })),
      videoGrid("/api/saved/videos", one ? { collection_id: shown } : {}),
    ],
    title: t("page.saved"),
  };
}
