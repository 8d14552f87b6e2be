// The queue: one case for each reported thing.
import { get } from "../api.mjs";
import { h } from "../dom.mjs";
import { t, time } from "../i18n.mjs";
import { paged, userLink } from "../ui.mjs";
import { consoleUser, excerpt } from "./subjects.mjs";

const STATES = ["open", "unclaimed", "mine", "closed"];

export async function view(state = "open") {
  const list = h("ul", { class: "rows cases" });
  const read = async (cursor) => {
    const page = await get("/api/moderation/cases", { state, cursor });
    return { items: page.cases, next_cursor: page.next_cursor };
  };
  return {
    content: [h("h1", null, t("console.cases")),
      h("div", { class: "tabs" }, STATES.map((name) =>
        h("a", { href: `#/cases/${name}`, "aria-current": name === state && "page" }, t(`cases.${name}`)))),
      list, paged(list, read, row, t("empty.cases"))],
    title: t("console.cases"),
  };
}

const row = (one) => h("li", { "data-case": one.case_id },
  h("a", { class: "user", href: `#/case/${one.case_id}` },
    h("span", { class: "lines" },
      h("span", { class: "name" }, `${t(`kind.${one.subject.kind}`)}: ${excerpt(one.snapshot)}`),
      h("span", { class: "hint preview" }, t("cases.reports", { n: one.report_count }), " · ", time(one.created_at)))),
  consoleUser(userLink(one.subject.owner_id)),
  h("span", { class: "hint" }, t(`case.${one.state}`)));
