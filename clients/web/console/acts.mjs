// What moderators decided, with the way back.
import { post } from "../api.mjs";
import { h } from "../dom.mjs";
import { t, time } from "../i18n.mjs";
import { action, userLink } from "../ui.mjs";
import { consoleUser } from "./subjects.mjs";

const REVERSIBLE = new Set(["hide", "suspend", "ban"]);

export const actRow = (act, changed) => h("li", null, consoleUser(userLink(act.moderator_id)),
  h("strong", null, t(`act.${act.verb}`)), h("time", { class: "hint" }, time(act.created_at)),
  act.until && h("span", { class: "hint" }, t("act.until", { at: time(act.until) })),
  act.note && h("q", null, act.note),
  act.reversed_at ? h("span", { class: "hint" }, t("act.reversed", { at: time(act.reversed_at) }))
    : REVERSIBLE.has(act.verb) && action(t("act.reverse"), async () => {
      await post("/api/moderation/reverse-act", { act_id: act.act_id, note: "" });
      changed();
    }, { name: "reverse" }));
