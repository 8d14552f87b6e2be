// Whether the services answer, and how many events wait for them.
import { get } from "../api.mjs";
import { fill, h } from "../dom.mjs";
import { number, t } from "../i18n.mjs";

const POLL_MS = 5000;

export async function view() {
  const shown = h("div");
  const refresh = async () => fill(shown, draw(await get("/api/admin/status")));
  await refresh();
  const timer = setInterval(() => document.visibilityState === "visible" && refresh().catch((error) => fill(shown, h("p", { role: "alert" }, error.message))), POLL_MS);
  return { content: [h("h1", null, t("console.status")), shown], title: t("console.status"), className: "narrow", leave: () => clearInterval(timer) };
}

const draw = (status) => [
  h("p", { class: "hint" }, `hitok ${status.version} · ${t("status.sockets", { n: number(status.sockets), users: number(status.users_online) })}`),
  h("h2", null, t("status.services")),
  h("ul", { class: "rows" }, status.services.map((one) => h("li", null, h("span", { class: "lines" }, one.name),
    h("span", { class: one.ready ? "online" : "problem" }, t(one.ready ? "status.up" : "status.down"))))),
  h("h2", null, t("status.queues")),
  status.queues_known ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("status.queues") }, h("table", null,
    h("thead", null, h("tr", null, ["name", "waiting", "unanswered", "repeated"].map((name) => h("th", { scope: "col" }, t(`queue.${name}`))))),
    h("tbody", null, status.queues.map((one) => h("tr", null, h("th", { scope: "row" }, one.name),
      [one.waiting, one.unanswered, one.repeated].map((count) => h("td", null, number(count)))))))) : h("p", { class: "problem" }, t("status.unknown")),
];
