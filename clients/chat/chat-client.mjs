// A client of hitok's chat socket (docs/chat-protocol.md), for browsers and Node. It reconnects, repeats the sends that
// were not acknowledged, and applies each change exactly once and in order. chat-client.d.mts has its types.
//
//   const chat = new ChatClient("https://chat.example", () => token, { message: (m) => show(m) });
//   chat.start();
//   await chat.send({ user_id: "42" }, { text: "hi" });

/** 128 random bits. Not crypto.randomUUID: a page over plain HTTP has none. */
const newId = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** Keeps what waits to be sent in the browser, over reloads. `name` has to differ from user to user. */
export function storageOutbox(name, storage = localStorage) {
  const items = () => Object.keys(storage).filter((key) => key.startsWith(`${name}.`)).map((key) => JSON.parse(storage.getItem(key)));
  return {
    load: () => items().sort((a, b) => a.at - b.at).map(({ data }) => data),
    save: (data) => storage.setItem(`${name}.${data.client_msg_id}`, JSON.stringify({ at: Date.now(), data })),
    remove: (client_msg_id) => storage.removeItem(`${name}.${client_msg_id}`),
  };
}

export class ChatClient {
  #base; #token; #on; #WebSocket; #outbox; #socket = null; #live = false; #stopped = false; #tries = 0; #ids = 0; #waiting = 0;
  #pending = new Map(); // request id → { resolve, reject }
  #unacked = new Map(); // client_msg_id → { data, resolve, reject }, in the order of sending
  #known = new Map(); // conversation_id → the last rev that was applied: the cursor
  #held = new Map(); // conversation_id → events that arrived before an earlier one
  #syncing = new Set();

  /**
   * `token` returns the access token. `on` holds a handler for each event type (message, message.updated, receipt,
   * typing, notification …), and for ready, lost (it reconnects), reset (drop what is cached of a conversation), left,
   * closed (it does not reconnect: the code is 4500 to 4999) and error (why it could not connect, or what the server
   * reported outside of an answer).
   *
   * `options.outbox` keeps the messages that wait to be sent over a restart; `sent` and `refused` of `on` tell what became
   * of those that an earlier client left there. `options.WebSocket` replaces the global one. Throws if there is none.
   */
  constructor(base, token, on = {}, cursors = {}, { WebSocket: Socket = globalThis.WebSocket, outbox = null } = {}) {
    if (typeof Socket !== "function") {
      throw new Error("ChatClient needs WebSocket: Node 22 or newer has it; else pass { WebSocket }, such as that of the package ws");
    }
    this.#base = base; this.#token = token; this.#on = on; this.#WebSocket = Socket; this.#outbox = outbox;
    for (const [id, rev] of Object.entries(cursors)) this.#known.set(id, rev);
    for (const data of outbox?.load() ?? []) {
      const settle = (name) => (value) => this.#on[name]?.(value, data);
      this.#unacked.set(data.client_msg_id, { data, resolve: settle("sent"), reject: settle("refused") });
    }
  }

  /** The messages that are not acknowledged yet, in the order of sending. */
  get waiting() { return [...this.#unacked.values()].map(({ data }) => data); }

  /** Store them together with the cached messages, and pass them to the next client. */
  get cursors() { return Object.fromEntries(this.#known); }

  start() { this.#stopped = false; this.#connect(); }
  stop() {
    this.#stopped = true;
    clearTimeout(this.#waiting);
    this.#socket?.close();
  }

  /** Connects now, if it waits before the next try: the network is back. */
  retry() { if (this.#waiting && !this.#stopped) this.#connect(); }

  /**
   * Resolves with the ack: the message is stored. Rejects only if the error is not retryable; without a connection it
   * waits for one. A message that the page kept over a reload has the `client_msg_id` of its first try, so that it is
   * stored once.
   */
  send(to, body, content_type = "text", client_msg_id = newId()) {
    return new Promise((resolve, reject) => {
      const data = { to, client_msg_id, content_type, body };
      this.#outbox?.save(data);
      this.#unacked.set(client_msg_id, { data, resolve, reject });
      if (this.#live) this.#transmit(client_msg_id);
    });
  }

  /** Sends any other request. Rejects if the connection is lost before the answer arrives. */
  ask(type, data) {
    return new Promise((resolve, reject) => {
      if (!this.#live) return reject(new Error("not connected"));
      const id = String(++this.#ids);
      this.#pending.set(id, { resolve, reject });
      this.#write({ type, id, data });
    });
  }

  /** For the next socket; null if the session has ended. Override it where a session is in a cookie, not in a token. */
  async ticket() {
    const answer = await fetch(`${this.#base}/api/chat/ws-ticket`, {
      headers: { authorization: `Bearer ${await this.#token()}` },
    });
    if (answer.status === 401) return null;
    if (!answer.ok) throw new Error(`no ticket: HTTP ${answer.status}`);
    return (await answer.json()).data.ticket;
  }

  async #connect() {
    clearTimeout(this.#waiting);
    this.#waiting = 0;
    try {
      const ticket = await this.ticket();
      if (ticket === null) return this.#on.closed?.(4501);
      if (this.#stopped) return this.#on.closed?.(1000);
      const socket = new this.#WebSocket(`${this.#base.replace(/^http/, "ws")}/api/chat/ws?ticket=${ticket}`);
      this.#socket = socket;
      socket.onopen = () =>
        this.#write({ type: "hello", id: "hello", data: { version: 1, device_id: "web", cursors: this.cursors } });
      socket.onmessage = (event) => this.#take(JSON.parse(event.data));
      socket.onerror = () => {};
      socket.onclose = (event) => this.#lost(event.code);
    } catch (error) {
      this.#on.error?.(error);
      this.#lost(0);
    }
  }

  #lost(code) {
    this.#live = false;
    this.#socket = null;
    this.#syncing.clear();
    this.#held.clear(); // the sync after the next hello contains them
    for (const { reject } of this.#pending.values()) reject(new Error("connection lost"));
    this.#pending.clear();
    if (this.#stopped || (code >= 4500 && code < 5000)) return this.#on.closed?.(code);
    this.#on.lost?.();
    // Full jitter, so that the clients of a restarted server do not all return at the same moment.
    const wait = Math.random() * Math.min(30_000, 500 * 2 ** this.#tries++);
    this.#waiting = setTimeout(() => this.#stopped || this.#connect(), wait);
  }

  #write(frame) { this.#socket?.readyState === 1 && this.#socket.send(JSON.stringify(frame)); }

  #transmit(client_msg_id) {
    const message = this.#unacked.get(client_msg_id);
    if (!message) return;
    const id = String(++this.#ids);
    const end = (settle) => (value) => {
      this.#unacked.delete(client_msg_id);
      this.#outbox?.remove(client_msg_id);
      settle(value);
    };
    this.#pending.set(id, {
      resolve: end(message.resolve),
      reject: (error) => {
        if (error.data && !error.data.retryable) return end(message.reject)(error);
        // The message stays in #unacked: it is sent again after a while, or after the next `ready`.
        if (error.data) setTimeout(() => this.#live && this.#transmit(client_msg_id), error.data.retry_after_ms ?? 1000);
      },
    });
    this.#write({ type: "send", id, data: message.data });
  }

  #take({ type, id, data }) {
    switch (type) {
      case "ping": return this.#write({ type: "pong" });
      case "ready": return this.#ready(data);
      case "ack": case "error": return this.#answered(type, id, data);
      case "sync": return this.#synced(data);
      case "resync": return this.#resync(data.conversation_ids);
      case "goaway": return; // the gateway closes the socket next, and #lost reconnects
      case "typing": case "receipt": case "presence": case "file.progress": case "notification": return this.#on[type]?.(data);
      default:
        if (data?.rev !== undefined) this.#apply(type, data);
        else if (type === "conversation") this.#on.conversation?.(data); // about this user alone
    }
  }

  #ready(data) {
    this.#live = true;
    this.#tries = 0;
    for (const id of data.removed) this.#forget(id);
    for (const one of data.conversations) if (!this.#known.has(one.conversation_id)) this.#known.set(one.conversation_id, one.rev);
    this.#on.ready?.(data);
    for (const client_msg_id of this.#unacked.keys()) this.#transmit(client_msg_id);
  }

  #answered(type, id, data) {
    const asked = this.#pending.get(id);
    this.#pending.delete(id);
    if (type === "ack") return asked?.resolve(data);
    const error = Object.assign(new Error(data.message), { data });
    asked ? asked.reject(error) : this.#on.error?.(error);
  }

  // The rule for events with a rev: apply the next one, drop an old one, and hold a later one until those between them
  // have arrived.
  #apply(type, data) {
    const id = data.conversation_id;
    if (type === "conversation" && data.left) return this.#forget(id);
    const known = this.#known.get(id);
    if (known === undefined) {
      if (type !== "conversation") return; // a new conversation begins with a `conversation` event
      this.#known.set(id, data.rev);
      return this.#on.conversation?.(data);
    }
    if (data.rev <= known) return type === "conversation" ? this.#on.conversation?.(data) : undefined;
    if (data.rev > known + 1) {
      const held = this.#held.get(id) ?? [];
      this.#held.set(id, [...held, { type, data }].slice(-200));
      return this.#sync(id);
    }
    this.#known.set(id, data.rev);
    this.#on[type]?.(data);
    this.#release(id);
  }

  #release(id) {
    const held = (this.#held.get(id) ?? []).sort((a, b) => a.data.rev - b.data.rev);
    this.#held.delete(id);
    for (const { type, data } of held) this.#apply(type, data);
  }

  async #sync(id) {
    if (this.#syncing.has(id)) return;
    this.#syncing.add(id);
    try {
      let part;
      do {
        part = await this.ask("sync", { conversation_id: id, from_rev: this.#known.get(id) ?? 0 });
        this.#synced(part);
      } while (part.more);
    } catch (error) {
      if (error.data?.code === "not_found") this.#forget(id);
      // After any other error, the next event or the next connection syncs again.
    } finally {
      this.#syncing.delete(id);
    }
    this.#release(id);
  }

  #synced(part) {
    const id = part.conversation_id;
    if (part.limited) this.#on.reset?.(id); // too far behind: drop the cache and page back with `history`
    const known = part.limited ? -1 : this.#known.get(id) ?? -1;
    this.#known.set(id, Math.max(known, part.to_rev));
    for (const message of part.messages) if (message.rev > known) this.#on.message?.(message);
    for (const one of part.reactions ?? []) if (one.rev > known) this.#on.reactions?.({ conversation_id: id, ...one });
    if (part.pins?.rev > known) this.#on.pins?.({ conversation_id: id, ...part.pins });
    for (const member of part.members) if (member.rev > known) this.#on.member?.({ conversation_id: id, ...member });
  }

  async #resync(ids) {
    if (ids === null) {
      // The list of conversations is in doubt, too. A new hello brings everything up to date.
      return this.#socket?.close(3000);
    }
    for (const id of ids) await this.#sync(id);
  }

  #forget(id) {
    this.#known.delete(id);
    this.#held.delete(id);
    this.#on.left?.(id);
  }
}
