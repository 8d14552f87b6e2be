// What is told while you are away: on this browser, with what was written or without, and not at night.
import { get, post } from "../api.mjs";
import { h } from "../dom.mjs";
import { check, settingsHead } from "../forms.mjs";
import { t } from "../i18n.mjs";
import { isOn, isPossible, turnOff, turnOn } from "../push.mjs";
import { attempt, toast } from "../ui.mjs";

export async function view() {
  const found = await get("/api/push/settings");
  const save = async (change) => {
    Object.assign(found, change, { time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC" });
    await post("/api/push/set-settings", found);
  };
  const available = isPossible() && found.vapid_public_key;
  const here = check(t("push.here"), "push", isOn(), async (on) => {
    const box = here.querySelector("input");
    try { await (on ? turnOn() : turnOff()); } catch (error) { box.checked = isOn(); throw error; }
  });
  const time = (label, name) => h("label", { class: "field" }, h("span", null, label), h("input", {
    name, type: "time", value: found[name],
    onchange: (event) => attempt(async () => { await save({ [name]: event.target.value }); toast(t("saved")); }),
  }));
  return {
    content: [
      settingsHead("pushes"),
      available ? here : h("p", { class: "hint" }, t("push.off")),
      check(t("push.content"), "content", found.content, (content) => save({ content })),
      h("p", { class: "hint" }, t("push.quiet")),
      time(t("push.begin"), `quiet_from`), time(t("push.end"), `quiet_until`),
    ],
    title: t("page.pushes"), className: "narrow",
  };
}
