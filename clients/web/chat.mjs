// The chat of this page: conversations, their messages, receipts, who types, and what waits to be sent. The socket and
// its rules are ChatClient's (clients/chat/chat-client.mjs, served as it is).
import { ChatClient } from "./chat-client.mjs";
import { get, onSignedOut, post, refusal, request } from "./api.mjs";
import { keep, kept, keptNames } from "./kept.mjs";
import { applyPinned, applyReactions, keepReactions } from "./message-state.mjs";
import { me } from "./session.mjs";

/** Conversations by id, as the API gives them; with `dismissed` where a group is gone. */
export const conversations = new Map();
/** Tells of "change" (something of the chat), "state" (the connection), "notification" and "file.progress" (with
 * what came as detail). */
export const chat = new EventTarget();
/** "off", "connecting", "live", or "closed": not coming back by itself. */
export let state = "off";

const threads = new Map(); // conversation id → { messages: seq → message, more, positions: user id → member, typing }
const outbox = new Map(); // client_msg_id → { id, to, body, content_type, at, error? }
const NEW = { last_seq: 0, read_seq: 0, unread: 0, last_message: null };
const UNMARKED = { hidden: false, pinned: false, muted: false, muted_until: null };
let client = null;
let marksRev = 0; // counts the changes of all marks

class CookieClient extends ChatClient {
  async ticket() {
    const response = await request("GET", "/api/chat/ws-ticket");
    if (response.status === 401) return null;
    if (!response.ok) throw await refusal(response);
    return (await response.json()).data.ticket;
  }
}

export function start() {
  if (client) return;
  const started = new CookieClient(location.origin, () => "", Object.fromEntries(
    // One that was stopped says so later, when another may have taken its place.
    Object.entries(handlers).map(([name, handle]) => [name, (data) => client === started && handle(data)])));
  client = started;
  become("connecting");
  const waiting = keptNames(`outbox.${me.id}.`).map((name) => kept(name)).filter(Boolean);
  for (const item of waiting.sort((a, b) => a.at - b.at)) {
    outbox.set(item.id, item);
    if (!item.error) transmit(item);
  }
  client.start();
}

/** Forgets what belongs to the user; messages that were not sent stay in the browser for their next visit. */
export function stop() {
  client?.stop();
  client = null;
  for (const each of [conversations, threads, outbox]) each.clear();
  become("off");
}

addEventListener("online", () => client?.retry());

const handlers = {
  ready(data) {
    for (const one of data.conversations) {
      conversations.set(one.conversation_id, one);
      dropCleared(one.conversation_id);
    }
    marksRev = data.marks_rev;
    become("live");
    changed();
    if (data.next_cursor) listMore(data.next_cursor);
  },
  lost: () => become("connecting"),
  closed(code) {
    become("closed");
    if (code === 4501 || code === 4503) onSignedOut.call();
  },
  conversation(data) {
    const known = conversations.get(data.conversation_id), isEntry = "unread" in data; // an entry leaves out what is not set
    if ((!known && !data.kind) || data.marks_rev < known?.marks_rev) return;
    conversations.set(data.conversation_id, { ...NEW, ...known, ...(isEntry && UNMARKED), ...data });
    dropCleared(data.conversation_id);
    changed();
    if (data.marks_rev) countMark(data.marks_rev);
  },
  left(id) {
    conversations.delete(id);
    threads.delete(id);
    changed();
  },
  reset(id) {
    threads.delete(id);
    changed();
  },
  message: arrived,
  "message.updated": arrived,
  "message.recalled": arrived,
  pinned(data) {
    const thread = threads.get(data.conversation_id);
    if (thread) applyPinned(thread, data);
    changed();
  },
  pins(data) {
    const thread = threads.get(data.conversation_id);
    if (thread) thread.pins = data.pins;
    changed();
  },
  reactions(data) {
    const message = threads.get(data.conversation_id)?.messages.get(data.seq);
    if (!message) return;
    applyReactions(message, data);
    changed();
  },
  member: (data) => positioned(data),
  receipt: (data) => positioned(data),
  typing(data) {
    const thread = threads.get(data.conversation_id);
    if (!thread) return;
    clearTimeout(thread.typing.get(data.user_id));
    thread.typing.delete(data.user_id);
    if (data.expires_ms) {
      thread.typing.set(data.user_id, setTimeout(() => {
        thread.typing.delete(data.user_id);
        changed();
      }, data.expires_ms));
    }
    changed();
  },
  notification: (data) => chat.dispatchEvent(new CustomEvent("notification", { detail: data })),
  "file.progress": (data) => chat.dispatchEvent(new CustomEvent("file.progress", { detail: data })),
};

/** Sets a mark: `route` is hide, mute, pin or delete. Throws Refusal. */
export const mark = async (route, data) => handlers.conversation(await post(`/api/chat/${route}`, data));

/** A gap in their count means that one was missed. */
async function countMark(rev) {
  let from = marksRev;
  marksRev = Math.max(marksRev, rev);
  while (from + 1 < rev) {
    const page = await ask("marks", { from_rev: from, limit: 100 });
    if (!page || page.to_rev <= from) return;
    page.marks.forEach(handlers.conversation);
    from = page.to_rev;
  }
}

/** Forgets the messages that were deleted. */
function dropCleared(id) {
  const conversation = conversations.get(id), { cleared_seq: cleared = 0 } = conversation;
  if (conversation.last_message?.seq <= cleared) Object.assign(conversation, { last_message: null, unread: 0 });
  for (const seq of threads.get(id)?.messages.keys() ?? []) if (seq <= cleared) threads.get(id).messages.delete(seq);
}

export const isMuted = ({ muted, muted_until }) => Boolean(muted) && !(new Date(muted_until ?? Infinity) <= new Date());

function become(next) {
  state = next;
  chat.dispatchEvent(new Event("state"));
}

const changed = () => chat.dispatchEvent(new Event("change"));

async function listMore(cursor) {
  while (cursor) {
    const page = await ask("conversations", { cursor, limit: 100 });
    if (!page) return;
    for (const one of page.conversations) if (!conversations.has(one.conversation_id)) conversations.set(one.conversation_id, one);
    cursor = page.next_cursor;
  }
  changed();
}

/** A request that may be lost: undefined if it was refused or the connection broke. */
export const ask = (type, data) => client?.ask(type, data).catch(() => undefined);

function arrived(message) {
  const { conversation_id: id, seq } = message, conversation = conversations.get(id), thread = threads.get(id);
  if (message.sender_id === me.id) settle(message.client_msg_id);
  if (thread) store(thread, message);
  if (conversation) {
    if (seq > conversation.last_seq) {
      conversation.last_seq = seq;
      conversation.hidden = false;
      if (message.sender_id === me.id) conversation.read_seq = seq;
      else conversation.unread += 1;
    }
    if (seq === conversation.last_seq) conversation.last_message = message;
  }
  if (message.sender_id !== me.id) {
    thread?.typing.delete(message.sender_id);
    ask("delivered", { conversation_id: id, seq });
  }
  changed();
}

/** The newest state of a message counts: history and events may overtake each other. */
function store(thread, message) {
  if (message.recalled_at) thread.pins = thread.pins.filter((pin) => pin.seq !== message.seq);
  const known = thread.messages.get(message.seq);
  if (!known || message.rev >= known.rev) thread.messages.set(message.seq, keepReactions(known, message));
}

function positioned(member) {
  const thread = threads.get(member.conversation_id);
  if (!thread) return;
  const known = thread.positions.get(member.user_id) ?? { read_seq: 0, delivered_seq: 0 };
  thread.positions.set(member.user_id, {
    read_seq: Math.max(known.read_seq, member.read_seq ?? 0),
    delivered_seq: Math.max(known.delivered_seq, member.delivered_seq ?? 0),
  });
  changed();
}

/** The conversation's thread, with its newest messages once they are read. Throws Refusal. */
export async function open(id) {
  let thread = threads.get(id);
  if (!thread) {
    thread = { messages: new Map(), more: true, positions: new Map(), typing: new Map(), pins: [], isRead: false };
    threads.set(id, thread); // at once, so that events from now on are not missed
    try { await older(id); } catch (error) { threads.delete(id); throw error; }
    thread.pins = (await ask("pins", { conversation_id: id }))?.pins ?? [];
    const answer = await ask("receipts", { conversation_id: id, after_user_id: 0, limit: 500 });
    for (const member of answer?.members ?? []) positioned({ conversation_id: id, ...member });
  }
  return thread;
}

/** Reads the messages before the oldest that is known. */
export async function older(id) {
  const thread = threads.get(id);
  const first = Math.min(...thread.messages.keys());
  const page = await get("/api/chat/messages", { conversation_id: id, limit: 50, before_seq: Number.isFinite(first) && thread.isRead ? first : undefined });
  for (const message of page.messages) {
    store(thread, message);
    if (message.sender_id === me.id) settle(message.client_msg_id);
  }
  thread.isRead = true;
  thread.more = page.more;
  changed();
}

/** What is known of it, undefined before `open`. */
export const threadOf = (id) => threads.get(id);

export const directWith = (userId) => [...conversations.values()].find((one) => one.peer_id === userId)?.conversation_id;
export const ofGroup = (groupId) => [...conversations.values()].find((one) => one.group_id === groupId)?.conversation_id;

/** The conversation was seen to its end. */
export function markRead(id) {
  const conversation = conversations.get(id);
  if (!conversation?.unread || conversation.request || state !== "live") return; // a request is read once it is accepted
  conversation.unread = 0;
  conversation.read_seq = conversation.last_seq;
  ask("read", { conversation_id: id, seq: conversation.last_seq });
  changed();
}

/** How many messages nobody has read yet here, over all conversations that are not muted. */
export const unread = () => [...conversations.values()].reduce((sum, one) => sum + (isMuted(one) ? 0 : one.unread || 0), 0);

/** Keeps the message until it is stored, over lost connections and reloads. Resolves with the ack, undefined if refused. */
export function send(to, body, content_type = "text") {
  const id = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const item = { id, to, body, content_type, at: Date.now() };
  outbox.set(id, item);
  keep(`outbox.${me.id}.${id}`, item);
  changed();
  return transmit(item);
}

async function transmit(item) {
  try {
    const ack = await client.send(item.to, item.body, item.content_type, item.id);
    const thread = threads.get(ack.conversation_id);
    // Its event may come later than the ack; until then the message is shown from here.
    if (thread) store(thread, { ...ack, sender_id: me.id, content_type: item.content_type, body: item.body });
    settle(item.id);
    changed();
    return ack;
  } catch (error) {
    item.error = error.data?.code ?? "internal";
    if (outbox.has(item.id)) keep(`outbox.${me.id}.${item.id}`, item);
    changed();
    return undefined;
  }
}

function settle(id) {
  if (outbox.delete(id)) keep(`outbox.${me.id}.${id}`, null);
}

export function discard(id) {
  settle(id);
  changed();
}

/** What waits to be sent there: to the conversation, or to whom it is with. */
export const waiting = (id, conversation = conversations.get(id)) => [...outbox.values()].filter(({ to }) =>
  to.conversation_id === id || (to.user_id && to.user_id === conversation?.peer_id) || (to.group_id && to.group_id === conversation?.group_id));

/** Connects anew after "closed". */
export function restart() {
  client?.stop();
  client = null;
  start();
}
