// What you reported, and what moderators decided about you and your things, with the way to another moderator.
import { get } from "../api.mjs";
import { openAppeal } from "../appeal.mjs";
import { h } from "../dom.mjs";
import { settingsHead } from "../forms.mjs";
import { t, time } from "../i18n.mjs";
import { action, paged, section } from "../ui.mjs";

export async function view() {
  return {
    content: [
      settingsHead("reports"),
      section(t("reports.yours"), list("/api/report/my-reports", "reports", reportRow, t("empty.reports"))),
      section(t("reports.decisions"), list("/api/moderation/my-acts", "acts", actRow, t("empty.decisions"))),
    ],
    title: t("page.reports"), className: "narrow",
  };
}

function list(path, name, row, empty) {
  const rows = h("ul", { class: "rows" });
  const read = async (cursor) => {
    const page = await get(path, { cursor });
    return { items: page[name], next_cursor: page.next_cursor };
  };
  return [rows, paged(rows, read, row, empty)];
}

const reportRow = (one) => h("li", null, h("strong", null, t(`kind.${one.kind}`)), h("span", null, t(`reason.${one.reason}`)),
  h("time", { class: "hint" }, time(one.created_at)), h("span", { class: "hint" }, t(`reports.${one.state}`)),
  one.note && h("q", null, one.note));

const actRow = (act) => h("li", null, h("strong", null, `${t(`act.${act.verb}`)} · ${t(`kind.${act.subject.kind}`)}`),
  h("time", { class: "hint" }, time(act.created_at)),
  act.until && h("span", { class: "hint" }, t("act.until", { at: time(act.until) })),
  act.note && h("q", null, act.note),
  act.reversed_at ? h("span", { class: "hint" }, t("act.reversed", { at: time(act.reversed_at) }))
    : action(t("appeal"), ({ target }) => openAppeal("appeal", { act_id: act.act_id },
      () => target.replaceWith(h("span", { class: "hint" }, t("appeal.made")))), { name: "appeal" }));
