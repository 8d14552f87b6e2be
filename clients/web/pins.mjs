// Messages that are pinned for all members of a conversation.
import { ask, threadOf } from "./chat.mjs";
import { dialog, fill, h, icon } from "./dom.mjs";
import { t, time } from "./i18n.mjs";
import { nameOf, action, toast } from "./ui.mjs";

export const isPinned = ({ conversation_id, seq }) => threadOf(conversation_id)?.pins.some((pin) => pin.seq === seq) ?? false;

async function set({ conversation_id, seq }, pinned) {
  if (!await ask("message.pin", { conversation_id, seq, pinned })) toast(t("pin.refused"));
}

export function pinButton(message) {
  const pinned = isPinned(message);
  return action(t(pinned ? "pin.off" : "pin"), () => set(message, !pinned), { class: "plain", name: "pin-message" });
}

/** Says how many are pinned, and opens them. `textOf`: a message in one line. */
export function drawPins(bar, id, textOf) {
  const count = threadOf(id)?.pins.length ?? 0;
  if (bar.dataset.count === String(count)) return;
  bar.dataset.count = count;
  bar.hidden = !count;
  fill(bar, count > 0 && action([icon("pin"), t("pins", { n: count })], () => openPins(id, textOf), { class: "plain", name: "pins" }));
}

async function openPins(conversation_id, textOf) {
  const page = await ask("pins", { conversation_id });
  if (!page) return;
  dialog(t("pins.title"), t("close"), h("ul", { class: "scroll pinned" }, page.messages.map((message) =>
    h("li", null, nameOf(message.sender_id), h("p", { class: "text" }, textOf(message)), h("time", { class: "hint" }, time(message.created_at))))));
}
