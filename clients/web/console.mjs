// The console for moderators and admins. The server checks the role at each request; here it only decides what is shown.
import { fill, h, icon } from "./dom.mjs";
import { t } from "./i18n.mjs";
import { router } from "./router.mjs";
import { me } from "./session.mjs";
import { begin } from "./shell.mjs";

const ADMIN = 3;
const VIEWS = {
  "": () => import("./console/cases.mjs"),
  cases: () => import("./console/cases.mjs"),
  case: () => import("./console/case.mjs"),
  appeals: () => import("./console/appeals.mjs"),
  users: () => import("./console/users.mjs"),
  user: () => import("./console/user.mjs"),
  video: () => import("./console/video.mjs"),
  audit: () => import("./console/audit.mjs"),
  status: () => import("./console/status.mjs"),
};
const NAV = [["cases", "flag"], ["appeals", "comment"], ["users", "friends"], ["video", "feed"], ["audit", "bell"], ["status", "chats"]];
const INSIDE = { "": "cases", case: "cases", user: "users" };

const main = document.getElementById("main"), nav = document.getElementById("nav");

const OUTSIDE = { view: () => ({ content: [h("h1", null, t("console")), h("p", { role: "alert" }, t("console.forbidden")),
  h("a", { class: "button", href: "/" }, t("back"))], title: t("console"), className: "narrow" }) };

const show = router(main, (name) => {
  const place = INSIDE[name] ?? name;
  nav.hidden = !(Number(me?.role) >= ADMIN);
  nav.setAttribute("aria-label", t("nav"));
  fill(nav, NAV.map(([path, picture]) => h("a", { href: `#/${path}`, "aria-current": path === place && "page" }, icon(picture), h("span", null, t(`console.${path}`)))),
    h("a", { href: "/" }, icon("back"), h("span", null, t("console.leave"))));
}, (name) => {
  if (!me) return import("./views/sign.mjs");
  return Number(me.role) >= ADMIN ? (VIEWS[name] ?? VIEWS[""])() : OUTSIDE;
});

addEventListener("hitok:session", show);
await begin(main, show);
