// Appeals against decisions. Another moderator than the one who decided answers them; granting takes the decision back.
import { get, post } from "../api.mjs";
import { button, dialog, field, h } from "../dom.mjs";
import { form } from "../forms.mjs";
import { t, time } from "../i18n.mjs";
import { me } from "../session.mjs";
import { paged, toast, userLink } from "../ui.mjs";
import { consoleUser } from "./subjects.mjs";

const SUPER_ADMIN = 4; // who may answer appeals against their own decisions
const STATES = ["waiting", "decided"];

export async function view(state = "waiting") {
  const list = h("ul", { class: "rows appeals" });
  const read = async (cursor) => {
    const page = await get("/api/moderation/appeals", { decided: state === "decided", cursor });
    return { items: page.appeals, next_cursor: page.next_cursor };
  };
  return {
    content: [h("h1", null, t("console.appeals")),
      h("div", { class: "tabs" }, STATES.map((name) =>
        h("a", { href: `#/appeals/${name}`, "aria-current": name === state && "page" }, t(`appeals.${name}`)))),
      list, paged(list, read, row, t("empty.appeals"))],
    title: t("console.appeals"), className: "narrow",
  };
}

function row(one) {
  const { act } = one;
  return h("li", null, consoleUser(userLink(one.user_id)),
    h("strong", null, `${t(`act.${act.verb}`)} · ${t(`kind.${act.subject.kind}`)}`), h("time", { class: "hint" }, time(one.created_at)),
    h("q", null, one.text),
    act.note && h("p", { class: "hint" }, t("appeal.note", { note: act.note })),
    act.moderator_id && h("p", { class: "hint" }, t("appeal.by"), " ", consoleUser(userLink(act.moderator_id))),
    act.case_id && h("a", { href: `#/case/${act.case_id}` }, t("appeal.case")),
    one.decided_at ? h("p", null, t(one.granted ? "appeal.granted" : "appeal.refused"), " ", time(one.decided_at), one.answer && h("q", null, one.answer))
      : act.moderator_id === me.id && Number(me.role) < SUPER_ADMIN ? h("p", { class: "hint" }, t("appeal.own"))
        : button(t("appeal.answer"), (event) => openAnswer(one, event.target.closest("li")), { name: "open-answer" }));
}

function openAnswer(one, shown) {
  const open = dialog(t("appeal.answer"), t("close"), h("q", null, one.text),
    form(t("case.decide"), "decide-appeal", [
      h("label", { class: "field" }, h("span", null, t("case.verb")), h("select", { name: "granted" },
        h("option", { value: "" }, t("appeal.refuse")), h("option", { value: "true" }, t("appeal.grant")))),
      field(t("appeal.words"), { name: "answer", rows: 3, maxlength: 500 })],
    async ({ granted, answer }) => {
      await post("/api/moderation/decide-appeal", { appeal_id: one.appeal_id, granted: Boolean(granted), answer: answer.trim() });
      open.close();
      shown.remove();
      toast(t("case.decided"));
    }));
}
