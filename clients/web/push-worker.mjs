// The service worker: shows what is pushed while no page of ours is open, and opens what was clicked. It is no module, as
// not every browser runs those here.
const zh = /^zh/i.test(self.navigator.language ?? "");

const words = (data) => {
  if (data.type !== "message") return zh ? "新通知" : "New notification";
  if (data.count > 1) return zh ? `${data.count} 条新消息` : `${data.count} new messages`;
  return zh ? "新消息" : "New message";
};

async function show({ title, body, tag, data = {} }) {
  if (data.badge !== undefined) await self.navigator.setAppBadge?.(data.badge).catch(() => {});
  // What was written comes with its sender; all else is said in this browser's language.
  await self.registration.showNotification(title || "hitok", {
    body: data.sender_id && body ? body : words(data), tag, data, icon: "/web/icon.svg", renotify: Boolean(tag),
  });
}

async function open({ type, conversation_id }) {
  const address = type === "message" && /^\d+$/.test(conversation_id) ? `#/chat/${conversation_id}` : "#/notifications";
  const [page] = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  if (!page) return self.clients.openWindow(`/${address}`);
  page.postMessage({ address });
  return page.focus();
}

self.addEventListener("push", (event) => event.waitUntil(show(event.data?.json() ?? {})));
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data ?? {}));
});
