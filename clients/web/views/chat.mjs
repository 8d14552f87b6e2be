// One conversation: its messages, and a line to write.
import { post } from "../api.mjs";
import { ask, chat, conversations, directWith, markRead, ofGroup, older, open, send, state, threadOf, waiting } from "../chat.mjs";
import { arrange, fill, h, icon } from "../dom.mjs";
import { t } from "../i18n.mjs";
import { openMarks } from "../marks.mjs";
import { bubble, textOf, waitingBubble } from "../messages.mjs";
import { drawPins, isPinned } from "../pins.mjs";
import { me, user } from "../session.mjs";
import { action, attempt, avatar, toast } from "../ui.mjs";
import { upload } from "../tus.mjs";

const NEAR_END = 120; // pixels within which the list follows what is new
const TYPING_MS = 3000; // how often the others are told
const KINDS = ["image", "video", "audio"];

/** By its id; by the other user (`with`) or the group before there is one. */
export async function view(id, what) {
  const target = id === "with" ? { user_id: what } : id === "group" ? { group_id: what } : { conversation_id: id };
  const find = () => target.conversation_id ?? (target.user_id ? directWith(target.user_id) : ofGroup(target.group_id));
  const list = h("ol", { class: "messages", "aria-label": t("messages"), tabindex: "0" });
  const made = new Map(), head = h("div", { class: "who" }), doing = h("span", { class: "hint doing", role: "status" });
  const pinned = h("div", { class: "pins", hidden: true });
  const asked = h("div", { class: "asked", role: "region", "aria-label": t("request"), hidden: true });
  const draw = () => attempt(async () => {
    const found = find();
    if (found && !threadOf(found)) await open(found);
    drawMessages(list, made, found, target);
    drawDoing(doing, found && threadOf(found));
    drawPins(pinned, found, textOf);
    if (document.visibilityState === "visible" && found) markRead(found);
  });
  const more = action(icon("more"), () => openMarks(find()), { class: "plain", name: "marks", "aria-label": t("mark.title") });
  const header = () => {
    more.hidden = !find() || !conversations.has(find());
    drawHead(head, conversations.get(find()), target);
    drawRequest(asked, conversations.get(find()));
  };
  const refresh = () => { header(); return draw(); };
  const reconnected = () => state === "live" && refresh();
  chat.addEventListener("change", refresh);
  chat.addEventListener("state", reconnected);
  document.addEventListener("visibilitychange", draw);
  await refresh();
  setTimeout(() => list.scrollTo(0, list.scrollHeight)); // once it is on the page
  return {
    content: [h("header", { class: "row" }, h("a", { class: "button plain", href: "#/chats", "aria-label": t("back") }, icon("back")), head, doing, more),
      asked, pinned, list, composer(target, find, list)],
    title: t("nav.chats"), className: "chat",
    leave: () => {
      chat.removeEventListener("change", refresh);
      chat.removeEventListener("state", reconnected);
      document.removeEventListener("visibilitychange", draw);
    },
  };
}

/** Somebody writes whom one has not agreed to hear from. */
function drawRequest(asked, conversation) {
  const isRequest = Boolean(conversation?.request) && !conversation.peer_gone;
  if (asked.hidden !== isRequest) return; // shown already, or hidden already
  asked.hidden = !isRequest;
  if (!isRequest) return;
  const name = h("span", { class: "name" }), { conversation_id } = conversation;
  user(conversation.peer_id).then((of) => { name.textContent = of.username; });
  fill(asked, h("p", null, name, " ", t("request.explained")), h("div", { class: "row" },
    action(t("accept"), () => ask("accept", { conversation_id }), { class: "primary", name: "accept" }),
    action(t("request.decline"), async () => {
      if (await ask("decline", { conversation_id })) location.hash = "#/chats";
    }, { name: "decline" }),
    action(t("block"), async () => {
      if (!confirm(t("block.sure"))) return;
      await post("/api/contact/block", { target_id: conversation.peer_id });
      await ask("decline", { conversation_id });
      toast(t("block.done"));
      location.hash = "#/chats";
    }, { name: "block" })));
}

let headOf = "";

function drawHead(head, conversation, target) {
  const peer = conversation?.peer_id ?? target.user_id;
  const key = `${peer} ${conversation?.title}`;
  if (head.childElementCount && headOf === key) return;
  headOf = key;
  if (conversation?.peer_gone) {
    fill(head, h("span", { class: "user" }, avatar({ username: conversation.title }), h("h1", { class: "name" }, conversation.title)));
    return;
  }
  if (!peer) {
    const name = h("h1", { class: "name" }, conversation?.title || t("group")), groupId = conversation?.group_id ?? target.group_id;
    fill(head, groupId ? h("a", { class: "user", href: `#/group/${groupId}` }, avatar({ username: name.textContent }), name) : name);
    return;
  }
  user(peer).then((of) => fill(head, h("a", { class: "user", href: `#/u/${peer}` }, avatar(of), h("h1", { class: "name" }, of.username))));
}

/** `made` keeps the elements by what they show, for the next time. */
function drawMessages(list, made, id, target) {
  const follows = list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_END;
  const conversation = conversations.get(id) ?? { peer_id: target.user_id, group_id: target.group_id };
  const thread = id && threadOf(id);
  const messages = thread?.isRead ? [...thread.messages.values()].sort((a, b) => a.seq - b.seq) : [];
  const keep = (key, make) => made.get(key) ?? made.set(key, make()).get(key);
  const elements = messages.map((message) => {
    const receipt = receiptOf(message, thread, conversation);
    return keep(`${message.seq} ${message.rev} ${message.reactions_rev} ${isPinned(message)} ${receipt}`, () => bubble(message, receipt, conversation.kind === "group"));
  });
  for (const item of waiting(id, conversation)) elements.push(keep(`${item.id} ${item.error}`, () => waitingBubble(item)));
  if (messages.length && thread.more) elements.unshift(keep("older", () => h("li", { class: "end" }, action(t("messages.older"), () => older(id)))));
  arrange(list, elements);
  const present = new Set(elements);
  for (const [key, element] of made) if (!present.has(element)) made.delete(key);
  if (follows) list.scrollTo(0, list.scrollHeight);
}

/** Of one's own message: whether the others got and read it. */
function receiptOf(message, thread, conversation) {
  if (message.sender_id !== me.id) return "";
  const others = [...thread.positions].filter(([userId]) => userId !== me.id).map(([, position]) => position);
  const read = others.filter((position) => position.read_seq >= message.seq).length;
  if (read && conversation.kind === "group") return t("message.readBy", { n: read });
  if (read) return t("message.read");
  return others.some((position) => position.delivered_seq >= message.seq) ? t("message.delivered") : t("message.sent");
}

function drawDoing(doing, thread) {
  const [userId] = [...(thread?.typing.keys() ?? [])].filter((each) => each !== me.id);
  if (!userId) doing.textContent = "";
  else user(userId).then((of) => { doing.textContent = thread.typing.size ? t("typing", { name: of.username }) : ""; });
}

function composer(target, find, list) {
  let told = 0;
  const to = () => (find() ? { conversation_id: find() } : target);
  const sent = () => list.scrollTo(0, list.scrollHeight);
  const input = h("input", { name: "message", maxlength: 4000, autocomplete: "off", "aria-label": t("message.write"), placeholder: t("message.write"), oninput: () => {
    if (!find() || Date.now() - told < TYPING_MS) return;
    told = Date.now();
    ask("typing", { conversation_id: find(), active: true });
  } });
  const file = h("input", { type: "file", name: "attachment", class: "unseen", tabindex: "-1", "aria-label": t("attach"), onchange: () => attempt(async () => {
    const [chosen] = file.files;
    file.value = "";
    const url = await upload(chosen, () => {}, new AbortController().signal);
    const kind = KINDS.find((each) => chosen.type.startsWith(`${each}/`)) ?? "file";
    send(to(), { url, name: chosen.name }, kind);
    sent();
  }) });
  return h("form", { class: "row composer", onsubmit: (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (!text) return;
    input.value = "";
    told = 0;
    send(to(), { text });
    sent();
  } }, action(icon("upload"), () => file.click(), { class: "plain", "aria-label": t("attach") }), file, input,
  h("button", { class: "primary", "aria-label": t("send") }, icon("send")));
}
