// How messages look.
import { h, webUrl } from "./dom.mjs";
import { t, time } from "./i18n.mjs";
import { cardOf } from "./cards.mjs";
import { ask, discard } from "./chat.mjs";
import { pinButton } from "./pins.mjs";
import { reactButton, reactionsOf } from "./reactions.mjs";
import { reportButton } from "./report.mjs";
import { me } from "./session.mjs";
import { action, nameOf, toast } from "./ui.mjs";

/** In one line. Other clients may write any JSON. */
export function textOf(message) {
  if (message.recalled_at) return t("message.recalled");
  const { body } = message;
  if (typeof body === "string") return body;
  return body?.text ?? (message.content_type === "text" ? "" : t(`message.${message.content_type}`));
}

function content(message) {
  if (message.content_type === "video_card" && !message.recalled_at) return cardOf(message);
  const url = message.recalled_at ? "" : webUrl(message.body?.url);
  if (url && message.content_type === "image") return h("img", { src: url, alt: message.body.name ?? "", loading: "lazy" });
  if (url && message.content_type === "video") return h("video", { src: url, controls: true, playsinline: true, preload: "metadata" });
  if (url && message.content_type === "audio") return h("audio", { src: url, controls: true });
  if (url) return h("a", { href: url, download: true, rel: "noopener" }, message.body.name || t("message.file"));
  return h("p", { class: message.recalled_at ? "text hint" : "text" }, textOf(message));
}

/** `receipt`: what is known of how far it came, "" for others' messages. `isNamed`: whether its sender is shown. */
export function bubble(message, receipt, isNamed) {
  const mine = message.sender_id === me.id;
  return h("li", { class: mine ? "bubble mine" : "bubble", "data-seq": message.seq },
    isNamed && !mine && nameOf(message.sender_id),
    content(message),
    reactionsOf(message),
    h("div", { class: "meta" }, h("time", null, time(message.created_at)), message.edited_at && t("message.edited"), receipt,
      !message.recalled_at && message.conversation_id && [reactButton(message), pinButton(message)],
      !mine && !message.recalled_at && reportButton(t("report"),
        { kind: "message", conversation_id: message.conversation_id, seq: message.seq }, { class: "plain" }),
      mine && !message.recalled_at && action(t("recall"), async () => {
        const { conversation_id, seq } = message;
        if (!await ask("recall", { conversation_id, seq })) toast(t("recall.refused"));
      }, { class: "plain" })));
}

/** One that is not stored yet. */
export function waitingBubble(item) {
  return h("li", { class: "bubble mine waiting", "data-waiting": item.id },
    h("p", { class: "text" }, item.body.text ?? t(`message.${item.content_type}`)),
    h("div", { class: "meta" }, item.error ? [t(`refused.${item.error}`), action(t("delete"), () => discard(item.id), { class: "plain" })] : t("message.waiting")));
}
