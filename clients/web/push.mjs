// Pushes to this browser while its user is away. They belong to the session, so each user chooses anew.
import { get, post } from "./api.mjs";
import { keep, kept } from "./kept.mjs";
import { t } from "./i18n.mjs";
import { me } from "./session.mjs";

const WORKER = "/web/push-worker.mjs";
// The only script that the page may start by its address.
const script = globalThis.trustedTypes?.createPolicy("hitok-push", { createScriptURL: () => WORKER });

export const isPossible = () => "serviceWorker" in navigator && "PushManager" in globalThis && "Notification" in globalThis;
export const isOn = () => isPossible() && kept("push") === me?.id && Notification.permission === "granted";

export const registered = () => navigator.serviceWorker.register(script?.createScriptURL("") ?? WORKER);

/** Asks for permission: call it on a click. */
export async function turnOn() {
  if (await Notification.requestPermission() !== "granted") throw new Error(t("push.denied"));
  const { vapid_public_key } = await get("/api/push/settings");
  if (!vapid_public_key) throw new Error(t("push.off"));
  await register(vapid_public_key);
  keep("push", me.id);
}

export async function turnOff() {
  keep("push", null);
  await post("/api/push/remove");
  await (await subscription())?.unsubscribe();
}

/** When the page starts: the browser may have another address by now, and the user another session. */
export async function renew() {
  if (!isOn()) return;
  const { vapid_public_key } = await get("/api/push/settings");
  if (vapid_public_key) await register(vapid_public_key);
}

const subscription = async () => (await registered()).pushManager.getSubscription();

async function register(applicationServerKey) {
  const { pushManager } = await registered();
  const options = { userVisibleOnly: true, applicationServerKey };
  const subscribed = await pushManager.subscribe(options).catch(async (error) => {
    if (error.name !== "InvalidStateError") throw new Error(t("push.failed"));
    await (await pushManager.getSubscription())?.unsubscribe(); // it is for another key of the server
    return pushManager.subscribe(options);
  });
  const { endpoint, keys } = subscribed.toJSON();
  await post("/api/push/register", { kind: "webpush", address: endpoint, keys });
}
