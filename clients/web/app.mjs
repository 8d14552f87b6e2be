// Starts the page: who is here, then the view that the address names.
import { onSignedOut } from "./api.mjs";
import { fill, h, icon } from "./dom.mjs";
import { t } from "./i18n.mjs";
import { kept } from "./kept.mjs";
import { forget, load, me } from "./session.mjs";
import { toast } from "./ui.mjs";

const theme = kept("theme");
if (theme) document.documentElement.dataset.theme = theme;

// The first part of the address after # → the module whose `view(part, …)` makes the page. Loaded when first needed.
const VIEWS = {
  "": () => import("./views/feed.mjs"),
  feed: () => import("./views/feed.mjs"),
  v: () => import("./views/video.mjs"),
  u: () => import("./views/profile.mjs"),
  me: () => import("./views/me.mjs"),
  upload: () => import("./views/upload.mjs"),
  friends: () => import("./views/friends.mjs"),
};
const NAV = [["", "feed"], ["friends", "friends"], ["upload", "upload"], ["me", "me"]];

const main = document.getElementById("main"), nav = document.getElementById("nav");
let leaving = null; // what the present view wants done when it goes
let shown = 0;

function showNav(place) {
  nav.hidden = !me;
  nav.setAttribute("aria-label", t("nav"));
  fill(nav, NAV.map(([path, name]) =>
    h("a", { href: `#/${path}`, "aria-current": path === place && "page", "data-nav": name }, icon(name), h("span", null, t(`nav.${name}`)))));
}

async function show() {
  const number = ++shown, address = location.hash;
  const [place, ...rest] = address.replace(/^#\/?/, "").split("/");
  leaving?.();
  leaving = null;
  document.querySelectorAll("dialog[open]").forEach((open) => open.close());
  const known = VIEWS[place] ? place : "";
  showNav(known === "feed" ? "" : known);
  try {
    const { view } = await (me ? VIEWS[known]() : import("./views/sign.mjs"));
    const made = await view(...rest.map(decodeURIComponent));
    if (number !== shown) return made.leave?.();
    main.className = made.className ?? "";
    fill(main, made.content);
    main.dataset.view = address;
    leaving = made.leave;
    document.title = made.title ? `${made.title} · hitok` : "hitok";
    main.focus({ preventScroll: true });
    if (!made.keepsScroll) scrollTo(0, 0);
  } catch (error) {
    if (number === shown) fill(main, h("p", { class: "hint", role: "alert" }, error.message), h("a", { class: "button", href: "#/", onclick: show }, t("again")));
  }
}

onSignedOut.call = () => {
  if (!me && !kept("signed-in")) return;
  forget();
  toast(t("signed-out"));
  show();
};

const skip = document.getElementById("skip");
skip.textContent = t("skip");
skip.addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
addEventListener("hashchange", show);
// A view asks for it when somebody signed in or out.
addEventListener("hitok:session", show);
await load().catch((error) => error.status === 401 || toast(error.message));
await show();
