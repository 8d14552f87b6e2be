// What events say of messages: the reactions to them, and which are pinned.
import { me } from "./session.mjs";

/** One was pinned, or taken off. */
export function applyPinned(thread, { seq, pinned, ...pin }) {
  thread.pins = thread.pins.filter((each) => each.seq !== seq);
  if (pinned) thread.pins.unshift({ seq, ...pin });
}

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
