// Saving videos for oneself, and choosing a collection for them.
import { get, post } from "./api.mjs";
import { button, dialog, fill, h, icon } from "./dom.mjs";
import { t } from "./i18n.mjs";
import { action, attempt, toast } from "./ui.mjs";

let asked = null; // the ids of videos that are shown at this moment, whose state one call brings

function isSaved(id) {
  asked ??= { ids: [], found: new Promise((resolve) => { setTimeout(resolve); }).then(() => {
    const { ids } = asked;
    asked = null;
    return get("/api/saved/state", { video_ids: ids });
  }) };
  asked.ids.push(id);
  return asked.found.then((found) => found.video_ids.includes(id));
}

export function saveButton({ id }) {
  const show = (saved) => element.setAttribute("aria-pressed", String(saved));
  const element = button(icon("save"), () => attempt(() => openSave(id, show)), { class: "save", "aria-label": t("video.save"), "aria-pressed": "false" });
  isSaved(id).then(show, () => {}); // it is only how the button looks
  return element;
}

async function openSave(video_id, show) {
  const { collections } = await get("/api/saved/collections");
  const save = async (collection_id) => {
    await post("/api/saved/save-video", { video_id, collection_id });
    done(true, t("video.saved"));
  };
  const done = (saved, text) => {
    sheet.close();
    show(saved);
    toast(text, "#/saved");
  };
  const name = h("input", { name: "collection", maxlength: 50, required: true, autocomplete: "off", "aria-label": t("collection.name"), placeholder: t("collection.new") });
  const form = h("form", { class: "row", onsubmit: (event) => {
    event.preventDefault();
    attempt(async () => save((await post("/api/saved/create-collection", { name: name.value })).collection_id));
  } }, name, h("button", { class: "primary" }, t("save")));
  const list = h("div", { class: "scroll list" });
  fill(list, action(t("collection.none"), () => save("0"), { name: "save-plain" }),
    collections.map(({ collection_id, name: text }) => action(text, () => save(collection_id))),
    action(t("video.unsave"), async () => {
      await post("/api/saved/unsave-video", { video_id });
      done(false, t("video.unsaved"));
    }, { class: "plain", name: "unsave" }));
  const sheet = dialog(t("video.save"), t("close"), list, form);
}
