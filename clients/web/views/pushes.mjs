// What is told while you are away: on this browser, of which kinds, with what was written or without, and not at night.
import { get, post } from "../api.mjs";
import { h } from "../dom.mjs";
import { check, settingsHead } from "../forms.mjs";
import { t } from "../i18n.mjs";
import { isOn, isPossible, turnOff, turnOn } from "../push.mjs";
import { attempt, section, toast } from "../ui.mjs";

const KINDS = { // as the API names them, by the switch that turns them on and off
  messages: ["message"],
  friends: ["friend_request", "friend_accepted", "friend_added"],
  follows: ["follow", "follow_accepted", "follow_request"],
  groups: ["group_request", "group_joined", "group_invited"],
  likes: ["like", "comment_like"],
  reactions: ["reaction"],
  comments: ["comment", "reply"],
  mentions: ["video_mention", "comment_mention"],
  videos: ["video_ready", "video_failed"],
  moderation: ["moderation", "moderation_reversed", "appeal_decided", "report_closed"],
};

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
  const kind = ([name, kinds]) => check(t(`push.kind.${name}`), `push-${name}`, !kinds.some((each) => found.muted_kinds.includes(each)),
    (on) => save({ muted_kinds: [...found.muted_kinds.filter((each) => !kinds.includes(each)), ...(on ? [] : kinds)] }));
  return {
    content: [
      settingsHead("pushes"),
      available ? here : h("p", { class: "hint" }, t("push.off")),
      check(t("push.content"), "content", found.content, (content) => save({ content })),
      section(t("push.kinds"), Object.entries(KINDS).map(kind)),
      h("p", { class: "hint" }, t("push.quiet")),
      time(t("push.begin"), `quiet_from`), time(t("push.end"), `quiet_until`),
    ],
    title: t("page.pushes"), className: "narrow",
  };
}
