import type { components } from "./frames.mjs";

type Schemas = components["schemas"];
export type Message = Schemas["MessageView"];
export type Conversation = Schemas["ConversationView"];
export type Notification = Schemas["NotificationView"];
export type Ack = Schemas["Ack"];
export type To = { conversation_id: string } | { user_id: string } | { group_id: string };
export type ContentType = "text" | "image" | "video" | "audio" | "file" | "emoji" | "custom";

/** A message that waits to be sent. */
export interface Outgoing {
  to: To;
  client_msg_id: string;
  content_type: ContentType;
  body: unknown;
}

/** An error of the server, with the frame's data, or of the connection, without. */
export interface ChatError extends Error {
  data?: Schemas["Error"];
}

export interface Outbox {
  load(): Iterable<Outgoing>;
  save(message: Outgoing): void;
  remove(client_msg_id: string): void;
}

/** Keeps what waits to be sent in the browser, over reloads. `name` has to differ from user to user. */
export function storageOutbox(name: string, storage?: Storage): Outbox;

export interface Handlers {
  ready?(data: Schemas["Ready"]): void;
  message?(message: Message): void;
  "message.updated"?(message: Message): void;
  "message.recalled"?(message: Message): void;
  /** With `changes` from an event; without them from a sync, whose `mine` are this user's. */
  reactions?(data: { conversation_id: string; changes?: Schemas["ReactionChange"][] } & Schemas["ReactionsView"]): void;
  pinned?(data: Schemas["PinnedEvent"]): void;
  /** All pins of the conversation, after a sync. */
  pins?(data: { conversation_id: string } & Schemas["PinsView"]): void;
  conversation?(data: Schemas["conversation.frame"]["data"]): void;
  member?(member: { conversation_id: string } & Schemas["MemberView"]): void;
  receipt?(data: Schemas["receipt.frame"]["data"]): void;
  typing?(data: Schemas["typing.event.frame"]["data"]): void;
  presence?(data: Schemas["PresenceView"]): void;
  "file.progress"?(data: Schemas["FileProgressView"]): void;
  notification?(data: Notification): void;
  /** Drop what is cached of that conversation, and page back with `history`. */
  reset?(conversation_id: string): void;
  left?(conversation_id: string): void;
  /** The connection broke; it reconnects. */
  lost?(): void;
  /** It does not reconnect: it was stopped, or the code is 4500 to 4999. */
  closed?(code: number): void;
  error?(error: ChatError): void;
  /** A message that an earlier client left in the outbox is stored. */
  sent?(ack: Ack, message: Outgoing): void;
  refused?(error: ChatError, message: Outgoing): void;
}

/** Requests besides `send`, with what they take and give. */
export interface Requests {
  edit: [Schemas["Edit"], Schemas["Changed"]];
  recall: [Schemas["OfMessage"], Schemas["Changed"]];
  history: [Schemas["History"], Schemas["MessagePage"]];
  sync: [Schemas["Sync"], Schemas["SyncView"]];
  conversations: [Schemas["ListConversations"], Schemas["ConversationPage"]];
  receipts: [Schemas["ListReceipts"], Schemas["ReceiptPage"]];
  read: [Schemas["OfMessage"], Schemas["ReadView"]];
  delivered: [Schemas["OfMessage"], Schemas["DeliveredView"]];
  accept: [Schemas["OfConversation"], object];
  decline: [Schemas["OfConversation"], object];
  react: [Schemas["React"], Schemas["ReactionsView"]];
  reactors: [Schemas["ListReactors"], Schemas["ReactorPage"]];
  "message.pin": [Schemas["PinMessage"], Schemas["Changed"]];
  pins: [Schemas["OfConversation"], Schemas["PinnedPage"]];
  "push.register": [Schemas["RegisterDevice"], Schemas["DeviceView"]];
  "push.remove": [Schemas["RemoveDevice"], object];
  "push.list": [object, Schemas["DevicePage"]];
  "push.settings": [object, Schemas["PushSettingsView"]];
  "push.set": [Schemas["SetPushSettings"], Schemas["PushSettingsView"]];
  search: [Schemas["Search"], Schemas["FoundPage"]];
  hide: [Schemas["Hide"], Schemas["MarkView"]];
  mute: [Schemas["Mute"], Schemas["MarkView"]];
  pin: [Schemas["Pin"], Schemas["MarkView"]];
  delete: [Schemas["OfConversation"], Schemas["MarkView"]];
  marks: [Schemas["ListMarks"], Schemas["MarkPage"]];
  typing: [Schemas["Typing"], object];
  "notification.list": [Schemas["ListNotifications"], Schemas["NotificationPage"]];
  "notification.read": [Schemas["ReadNotifications"], object];
  "presence.subscribe": [Schemas["SubscribePresence"], Schemas["PresencePage"]];
}

export interface Options {
  /** Instead of the global one. */
  WebSocket?: new (url: string) => unknown;
  outbox?: Outbox | null;
}

export class ChatClient {
  /** `token` returns the access token. Throws if there is no WebSocket. */
  constructor(base: string, token: () => string | Promise<string>, on?: Handlers, cursors?: Record<string, number>, options?: Options);
  /** Store them together with the cached messages, and pass them to the next client. */
  readonly cursors: Record<string, number>;
  /** The messages that are not acknowledged yet, in the order of sending. */
  readonly waiting: Outgoing[];
  start(): void;
  stop(): void;
  /** Connects now, if it waits before the next try. */
  retry(): void;
  /** Resolves with the ack: the message is stored. Rejects with a ChatError only if repeating it is of no use. */
  send(to: To, body: unknown, content_type?: ContentType, client_msg_id?: string): Promise<Ack>;
  /** Rejects if the connection is lost before the answer arrives. */
  ask<T extends keyof Requests>(type: T, data: Requests[T][0]): Promise<Requests[T][1]>;
  /** For the next socket; null if the session has ended. Override it where a session is in a cookie, not in a token. */
  ticket(): Promise<string | null>;
}
