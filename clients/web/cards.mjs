// Videos shared in messages: sending one, and the card that each reader is shown.
import { get } from "./api.mjs";
import { conversations, send } from "./chat.mjs";
import { dialog, fill, h, sized } from "./dom.mjs";
import { t } from "./i18n.mjs";
import { action, nameOf, toast } from "./ui.mjs";

let asked = null; // the ids of cards that are drawn at this moment, which one call brings

function find(id) {
  asked ??= { ids: new Set(), found: new Promise((resolve) => { setTimeout(resolve); }).then(() => {
    const video_ids = [...asked.ids].slice(0, 100);
    asked = null;
    return get("/api/chat/cards", { video_ids });
  }) };
  asked.ids.add(id);
  return asked.found.then(({ cards }) => cards.find((card) => card.video_id === id));
}

/** What the reader may see of the video that the message shares. */
export function cardOf({ body, card }) {
  const place = h("div", { class: "card" }, body.text && h("p", { class: "text" }, body.text));
  const show = (found) => place.append(found?.available
    ? h("a", { class: "shared", href: `#/v/${found.video_id}` }, found.cover_url && h("img", { src: sized(found.cover_url, 256), alt: "", loading: "lazy" }), h("span", null, found.title))
    : h("p", { class: "hint" }, t("card.gone")));
  if (card) show(card); else find(body.video_id).then(show, () => show(null));
  return place;
}

/** Asks to whom, and sends it; `link` copies its address instead. */
export function openShare(video, link) {
  const to = [...conversations.values()].filter((one) => !one.request && !one.peer_gone && !one.dismissed);
  const list = h("div", { class: "scroll list" });
  fill(list, to.map((one) => action(one.peer_id ? nameOf(one.peer_id) : one.title || t("group"), async () => {
    send({ conversation_id: one.conversation_id }, { video_id: video.id }, "video_card");
    sheet.close();
    toast(t("share.sent"), `#/chat/${one.conversation_id}`);
  })), action(t("share.link"), async () => { await link(); sheet.close(); }, { name: "share-link" }));
  const sheet = dialog(t("share"), t("close"), list);
}
