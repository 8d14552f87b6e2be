// Reporting what breaks the rules to the moderators.
import { post } from "./api.mjs";
import { button, dialog, field, h } from "./dom.mjs";
import { t } from "./i18n.mjs";
import { attempt, toast } from "./ui.mjs";

export const REASONS = ["spam", "harassment", "hate", "sexual", "violence", "self_harm", "minors", "illegal", "impersonation", "other"];

/** `subject`: what api/report/create-report takes to name it. */
export const reportButton = (label, subject, props) => button(label, () => openReport(subject), { name: "report", ...props });

function openReport(subject) {
  const form = h("form", { onsubmit: (event) => {
    event.preventDefault();
    const { reason, note } = form.elements;
    attempt(async () => {
      await post("/api/report/create-report", { ...subject, reason: reason.value, note: note.value.trim() });
      open.close();
      toast(t("report.done"));
    });
  } },
  h("label", { class: "field" }, h("span", null, t("report.reason")),
    h("select", { name: "reason" }, REASONS.map((reason) => h("option", { value: reason }, t(`reason.${reason}`))))),
  field(t("report.note"), { name: "note", rows: 3, maxlength: 500 }),
  h("button", { class: "primary", name: "send-report" }, t("report")));
  const open = dialog(t("report.title"), t("close"), form);
}
