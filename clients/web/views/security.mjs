// The password, and codes of an authenticator app besides it.
import { get, post } from "../api.mjs";
import { field, fill, h } from "../dom.mjs";
import { form, passwordField, settingsHead } from "../forms.mjs";
import { t } from "../i18n.mjs";
import { qrCode } from "../qr.mjs";
import { action, section, toast } from "../ui.mjs";

const USER = "/api/user/";
const codeField = (label) => field(label, { name: "second_code", autocomplete: "one-time-code", required: true });

export async function view() {
  const second = h("div");
  await draw(second);
  return {
    content: [
      settingsHead("security"),
      section(t("second"), second),
      section(t("password.change"), form(t("save"), "change-password", [
        passwordField(t("password.old"), "old_password"), passwordField(t("new-password"), "new_password", "new-password")],
      async (values) => {
        await post(`${USER}change-password`, values);
        toast(t("password.changed"));
      })),
    ],
    title: t("page.security"), className: "narrow",
  };
}

async function draw(second) {
  const state = await get(`${USER}second-factor`);
  fill(second, ...(state.on ? whileOn(second, state) : whileOff(second, state)));
}

const whileOff = (second, { required }) => [
  h("p", null, t(required ? "second.required" : "second.off")),
  form(t("second.begin"), "begin-second", [passwordField(t("password"))], async (values) => enrol(second, await post(`${USER}begin-second-factor`, values))),
];

/** It is on once the app has shown a code of the secret. */
function enrol(second, { secret, uri }) {
  fill(second,
    h("p", null, t("second.scan")), qrCode(uri),
    h("p", null, h("a", { href: uri }, t("second.open"))),
    h("p", null, t("second.secret"), " ", h("code", { class: "secret" }, secret)),
    form(t("second.turn-on"), "turn-on-second", [codeField(t("second.code"))], async (values) =>
      showCodes(second, (await post(`${USER}turn-on-second-factor`, values)).codes)));
}

/** They are shown only here. */
function showCodes(second, codes) {
  fill(second,
    h("p", { role: "status" }, t("second.codes")),
    h("ul", { class: "codes" }, codes.map((code) => h("li", null, h("code", null, code)))),
    action(t("second.kept"), () => draw(second), { class: "primary", name: "codes-kept" }));
}

function whileOn(second, { required, recovery_codes: left }) {
  const proof = () => [passwordField(t("password")), codeField(t("second-code"))];
  return [
    h("p", null, t("second.on", { n: left })),
    h("details", null, h("summary", null, t("second.renew")),
      form(t("second.renew"), "renew-codes", proof(), async (values) =>
        showCodes(second, (await post(`${USER}renew-recovery-codes`, values)).codes))),
    !required && h("details", null, h("summary", null, t("second.turn-off")),
      form(t("second.turn-off"), "turn-off-second", proof(), async (values) => {
        await post(`${USER}turn-off-second-factor`, values);
        await draw(second);
      })),
  ];
}
