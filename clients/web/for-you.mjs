// Why a video is in the feed that is made for the user, and what of it they do not want to see.
import { get, post } from "./api.mjs";
import { button, dialog, h, icon } from "./dom.mjs";
import { t } from "./i18n.mjs";
import { action, attempt, toast } from "./ui.mjs";

/** `card` goes when the user is not interested. */
export const whyButton = (data, card) => button(icon("more"), () => attempt(() => openWhy(data, card)), { name: "why", "aria-label": t("why") });

async function openWhy(data, card) {
  const found = await get("/api/videos/for-you-why", { video_id: data.id });
  const part = ({ name, value, weight }) => h("li", null, h("span", { class: "lines" }, t(`part.${name}`)), h("span", { class: "hint" }, (value * weight).toFixed(2)));
  const tags = [...new Set([...data.title_entities, ...data.description_entities].map(({ tag }) => tag).filter(Boolean))];
  const less = (label, subject, name) => action(label, async () => {
    await post("/api/videos/not-interested", subject);
    sheet.close();
    card.remove();
    toast(t("not-interested.done"), "#/for-you");
  }, { name });
  const sheet = dialog(t("why"), t("close"),
    h("p", { class: "why" }, t(`why.${found.why}`), found.why === "tag" && found.tag && ` #${found.tag}`),
    h("details", null, h("summary", null, t("why.parts")), h("ul", { class: "rows" }, found.parts.filter(({ value }) => value).map(part))),
    h("div", { class: "list" },
      less(t("not-interested.video"), { video_id: data.id }, "less-video"),
      less(t("not-interested.author"), { author_id: data.user_id }, "less-author"),
      tags.map((tag) => less(`${t("not-interested.tag")} #${tag}`, { tag }, "less-tag"))));
}
