// Whether the services answer, how many events wait for them, and how many jobs of processing.
import { get } from "../api.mjs";
import { fill, h } from "../dom.mjs";
import { number, t } from "../i18n.mjs";

const POLL_MS = 5000;

export async function view() {
  const shown = h("div");
  const refresh = async () => {
    const [status, jobs] = await Promise.all([get("/api/admin/status"), get("/api/admin/jobs").catch(() => null)]);
    fill(shown, drawStatus(status), h("h2", null, t("status.jobs")), drawJobs(jobs));
  };
  await refresh();
  const timer = setInterval(() => document.visibilityState === "visible" && refresh().catch((error) => fill(shown, h("p", { role: "alert" }, error.message))), POLL_MS);
  return { content: [h("h1", null, t("console.status")), shown], title: t("console.status"), className: "narrow", leave: () => clearInterval(timer) };
}

const drawStatus = (status) => [
  h("p", { class: "hint" }, `hitok ${status.version} · ${t("status.sockets", { n: number(status.sockets), users: number(status.users_online) })}`),
  h("h2", null, t("status.services")),
  h("ul", { class: "rows" }, status.services.map((one) => h("li", null, h("span", { class: "lines" }, one.name),
    h("span", { class: one.ready ? "online" : "problem" }, t(one.ready ? "status.up" : "status.down"))))),
  h("h2", null, t("status.queues")),
  status.queues_known ? table(t("status.queues"), ["name", "waiting", "unanswered", "repeated"].map((name) => t(`queue.${name}`)),
    status.queues.map((one) => [one.name, one.waiting, one.unanswered, one.repeated])) : h("p", { class: "problem" }, t("status.unknown")),
];

/** `jobs` is null if the media service does not answer. */
function drawJobs(jobs) {
  if (!jobs) return h("p", { class: "problem" }, t("status.no-jobs"));
  if (!jobs.queues.length) return h("p", { class: "hint" }, t("empty.jobs"));
  return table(t("status.jobs"), ["kind", "due", "held", "failed", "wait"].map((name) => t(`job.${name}`)),
    jobs.queues.map((one) => [one.kind, one.due, one.held, one.failed, one.wait_seconds]));
}

const table = (label, head, rows) => h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, h("table", null,
  h("thead", null, h("tr", null, head.map((name) => h("th", { scope: "col" }, name)))),
  h("tbody", null, rows.map(([name, ...counts]) => h("tr", null, h("th", { scope: "row" }, name), counts.map((count) => h("td", null, number(count))))))));
