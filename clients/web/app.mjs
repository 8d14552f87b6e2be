// Starts the page: who is here, then the view that the address names.
import { chat, restart, start, state, stop, unread } from "./chat.mjs";
import { button, fill, h, icon } from "./dom.mjs";
import { t } from "./i18n.mjs";
import { kept } from "./kept.mjs";
import { countUnseen, describe, linkOf, noticed, unseen } from "./notifications.mjs";
import { router } from "./router.mjs";
import { me } from "./session.mjs";
import { begin } from "./shell.mjs";
import { toast } from "./ui.mjs";

// The first part of the address after # → the module whose `view(part, …)` makes the page. Loaded when first needed.
const VIEWS = {
  "": () => import("./views/feed.mjs"),
  feed: () => import("./views/feed.mjs"),
  v: () => import("./views/video.mjs"),
  u: () => import("./views/profile.mjs"),
  me: () => import("./views/me.mjs"),
  saved: () => import("./views/saved.mjs"),
  upload: () => import("./views/upload.mjs"),
  friends: () => import("./views/friends.mjs"),
  chats: () => import("./views/chats.mjs"),
  chat: () => import("./views/chat.mjs"),
  follows: () => import("./views/follows.mjs"),
  groups: () => import("./views/groups.mjs"),
  group: () => import("./views/group.mjs"),
  notifications: () => import("./views/notifications.mjs"),
  settings: () => import("./views/settings.mjs"),
  privacy: () => import("./views/privacy.mjs"),
  "for-you": () => import("./views/for-you.mjs"),
  pushes: () => import("./views/pushes.mjs"),
  muted: () => import("./views/muted.mjs"),
  security: () => import("./views/security.mjs"),
  sessions: () => import("./views/sessions.mjs"),
  data: () => import("./views/data.mjs"),
  reports: () => import("./views/reports.mjs"),
};
const NAV = [["", "feed"], ["friends", "friends"], ["upload", "upload"], ["chats", "chats"], ["notifications", "bell"], ["me", "me"]];
const INSIDE = { feed: "", v: "", chat: "chats", groups: "chats", group: "chats",
  follows: "me", saved: "me", settings: "me", privacy: "me", pushes: "me", muted: "me", security: "me", sessions: "me", data: "me", reports: "me" }; // views without an entry of their own
const COUNTS = { chats: unread, notifications: unseen };

const main = document.getElementById("main"), nav = document.getElementById("nav");
const banner = document.getElementById("connection");
let place = "", showing = 0;

function showNav() {
  const now = JSON.stringify([me?.id, place, ...Object.values(COUNTS).map((number) => number())]);
  if (nav.dataset.shows === now) return; // whoever is tabbing through it keeps their place
  nav.dataset.shows = now;
  nav.hidden = !me;
  nav.setAttribute("aria-label", t("nav"));
  fill(nav, NAV.map(([path, name]) =>
    h("a", { href: `#/${path}`, "aria-current": path === place && "page", "data-nav": name }, icon(name), h("span", null, t(`nav.${name}`)), count(COUNTS[path]?.()))));
}

const count = (number) => number > 0 && h("span", { class: "badge", "aria-label": t("unread", { n: number }) }, number > 99 ? "99+" : String(number));

function showConnection() {
  const closed = state === "closed" && me;
  const slow = state === "connecting";
  clearTimeout(showing);
  // A short interruption needs no notice.
  if (slow) showing = setTimeout(() => fill(banner, t("connecting")), 1500);
  else fill(banner, closed && [t("connection.closed"), " ", button(t("again"), restart, { class: "plain" })]);
}

const show = router(main, (name) => {
  const known = VIEWS[name] ? name : "";
  place = INSIDE[known] ?? known;
  showNav();
  if (me) start();
}, (name) => (me ? (VIEWS[name] ?? VIEWS[""])() : import("./views/sign.mjs")));

// A view asks for it when somebody signed in or out.
addEventListener("hitok:session", () => {
  stop();
  countUnseen().then(showNav, () => {}); // the next notification brings the number
  show();
});
chat.addEventListener("change", showNav);
chat.addEventListener("state", showConnection);
chat.addEventListener("notification", ({ detail }) => {
  noticed(detail);
  showNav();
  describe(detail).then((text) => toast(text, linkOf(detail)));
});
navigator.serviceWorker?.addEventListener("message", ({ data }) => { location.hash = data.address; });
await begin(main, show, stop);
if (me && kept("push") === me.id) import("./push.mjs").then(({ renew }) => renew()).catch(() => {}); // at the next start, then
if (me) countUnseen().then(showNav, () => {});
