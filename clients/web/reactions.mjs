// Reactions to messages: what is known of them, and how they look.
import { ask } from "./chat.mjs";
import { dialog, h } from "./dom.mjs";
import { t } from "./i18n.mjs";
import { me } from "./session.mjs";
import { action, nameOf, toast } from "./ui.mjs";

const COMMON = ["👍", "❤️", "😂", "😮", "😢", "🙏", "🎉", "🔥", "👀", "💯", "👏", "🤔"];

/** A newer state of a message says nothing of the reactions to it, unless it was recalled. */
export function keepReactions(known, message) {
  if (!known?.reactions_rev || message.recalled_at || message.reactions_rev >= known.reactions_rev) return message;
  return { ...message, reactions: known.reactions, reactions_rev: known.reactions_rev };
}

/** `data`: an event, whose `changes` say what is new, or from a sync or an ack, which say what is one's own. */
export function applyReactions(message, data) {
  if (data.rev < (message.reactions_rev ?? 0)) return;
  const mine = new Set((data.changes ? message.reactions ?? [] : data.reactions).filter((each) => each.mine).map((each) => each.emoji));
  for (const { user_id, emoji, added } of data.changes ?? []) if (user_id === me.id) mine[added ? "add" : "delete"](emoji);
  message.reactions = data.reactions.map(({ emoji, count }) => ({ emoji, count, mine: mine.has(emoji) }));
  message.reactions_rev = data.rev;
}

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
