// One case: what was reported, by whom, what was decided before, and the decision.
import { get, post } from "../api.mjs";
import { field, h } from "../dom.mjs";
import { t, time } from "../i18n.mjs";
import { me } from "../session.mjs";
import { action, attempt, section, toast, userLink } from "../ui.mjs";
import { actRow } from "./acts.mjs";
import { consoleUser, excerpt, snapshotOf } from "./subjects.mjs";

const VERBS = { user: ["remove"], video: ["hide", "remove"], comment: ["hide", "remove"], message: ["remove"] };
const FOR_ALL = ["warn", "suspend", "ban"];
const DAY = 86_400, DAYS = [1, 7, 30];

export async function view(id) {
  const { case: found, reports, acts, owner_acts } = await get("/api/moderation/get-case", { case_id: id });
  const { subject } = found;
  const again = () => dispatchEvent(new Event("hashchange"));
  const mine = found.claimed_by === me.id;
  return {
    content: [
      h("h1", null, `${t(`kind.${subject.kind}`)}: ${excerpt(found.snapshot)}`),
      h("p", { class: "row" }, h("span", { class: "hint" }, t(`case.${found.state}`), found.outcome && ` · ${t(`act.${found.outcome}`)}`),
        found.state !== "closed" && !mine && action(t("case.claim"), async () => {
          await post("/api/moderation/claim-case", { case_id: id });
          again();
        }, { name: "claim" }),
        mine && found.state === "claimed" && action(t("case.release"), async () => {
          await post("/api/moderation/release-case", { case_id: id });
          again();
        }, { name: "release" }),
        subject.kind === "video" && h("a", { class: "button", href: `#/video/${subject.id}` }, t("case.look"))),
      section(t("case.subject"), snapshotOf(found.snapshot)),
      h("p", null, t("case.owner"), " ", consoleUser(userLink(subject.owner_id))),
      section(t("case.reports"), h("ul", { class: "rows" }, reports.map(reportRow))),
      found.state !== "closed" && section(t("case.decide"), decision(found)),
      acts.length > 0 && section(t("case.acts"), h("ul", { class: "rows" }, acts.map((act) => actRow(act, again)))),
      owner_acts.length > 0 && section(t("case.before"), h("ul", { class: "rows" }, owner_acts.map((act) => actRow(act, again)))),
    ],
    title: t("console.cases"), className: "narrow",
  };
}

const reportRow = (report) => h("li", null, consoleUser(userLink(report.reporter_id)),
  h("span", null, t(`reason.${report.reason}`)), h("time", { class: "hint" }, time(report.created_at)),
  report.note && h("q", null, report.note));

function decision(found) {
  const verbs = ["dismiss", ...(VERBS[found.subject.kind] ?? []), ...FOR_ALL];
  const days = h("label", { class: "field", hidden: true }, h("span", null, t("case.days")),
    h("select", { name: "days" }, DAYS.map((n) => h("option", { value: String(n) }, String(n)))));
  const form = h("form", { onsubmit: (event) => {
    event.preventDefault();
    const { verb, note } = form.elements;
    attempt(async () => {
      const seconds = verb.value === "suspend" ? Number(form.elements.days.value) * DAY : undefined;
      await post("/api/moderation/decide-case", { case_id: found.case_id, verb: verb.value, note: note.value.trim(), seconds });
      toast(t("case.decided"));
      location.hash = "#/cases";
    });
  } },
  h("label", { class: "field" }, h("span", null, t("case.verb")),
    h("select", { name: "verb", onchange: (event) => { days.hidden = event.target.value !== "suspend"; } },
      verbs.map((verb) => h("option", { value: verb }, t(`act.${verb}`))))),
  days,
  field(t("case.note"), { name: "note", rows: 3, maxlength: 500 }),
  h("button", { class: "primary", name: "decide" }, t("case.decide")));
  return form;
}
