// Reactions to messages: how they look, and reacting.
import { ask } from "./chat.mjs";
import { dialog, h } from "./dom.mjs";
import { t } from "./i18n.mjs";
import { action, nameOf, toast } from "./ui.mjs";

const COMMON = ["👍", "❤️", "😂", "😮", "😢", "🙏", "🎉", "🔥", "👀", "💯", "👏", "🤔"];

async function react({ conversation_id, seq }, emoji, reacted) {
  if (!await ask("react", { conversation_id, seq, emoji, reacted })) toast(t("react.refused"));
}

/** The reactions to a message; each adds one's own, or takes it back. */
export function reactionsOf(message) {
  if (!message.reactions?.length) return null;
  return h("div", { class: "reactions", role: "group", "aria-label": t("reactions") }, message.reactions.map(({ emoji, count, mine }) =>
    action(`${emoji} ${count}`, () => react(message, emoji, !mine), { class: mine ? "plain mine" : "plain", "aria-pressed": String(Boolean(mine)), "data-emoji": emoji })));
}

/** Opens the choice of an emoji, and who reacted. */
export const reactButton = (message) => action(t("react"), async () => {
  const page = message.reactions?.length ? await ask("reactors", { conversation_id: message.conversation_id, seq: message.seq, limit: 100 }) : null;
  const open = dialog(t("react"), t("close"), h("div", { class: "scroll" },
    h("div", { class: "row emoji" }, COMMON.map((emoji) => action(emoji, () => {
      open.close();
      return react(message, emoji, true);
    }, { class: "plain", "aria-label": emoji, "data-emoji": emoji }))),
    page && h("ul", { class: "reactors" }, page.reactors.map(({ user_id, emoji }) => h("li", null, `${emoji} `, nameOf(user_id))))));
}, { class: "plain", name: "react" });
