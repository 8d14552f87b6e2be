// Sign in, sign up, or set a new password: by email with a mailed code, or by phone.
import { post } from "../api.mjs";
import { openAppeal } from "../appeal.mjs";
import { button, field, fill, h } from "../dom.mjs";
import { t } from "../i18n.mjs";
import { signedIn } from "../session.mjs";
import { action } from "../ui.mjs";

let mode = "in", by = "email";
const CODE_MISSING = new Set([10072, 100040]), CODE_WRONG = new Set([10073, 100041]); // of a second factor, in each family
const SHUT_OUT = new Set([10086, 10087, 100035, 100036]); // suspended or banned, in each family

const text = (form, name) => form.elements[name].value.trim();
const password = (form) => form.elements.password.value;

const second = (form) => (form.elements.second_code ? { second_code: text(form, "second_code") } : {});

const SUBMIT = {
  "in email": (form) => post("/api/login/login", { email: text(form, "email"), password: password(form), ...second(form) }),
  "in phone": (form) => post("/api/v1/user/login", { phone: text(form, "phone"), password: password(form), ...second(form) }),
  "up email": async (form) => {
    const account = { email: text(form, "email"), password: password(form) };
    await post("/api/login/register", { ...account, code: text(form, "code"), username: text(form, "username") });
    await post("/api/login/login", account); // only a login brings a refresh token
  },
  "up phone": (form) => post("/api/v1/user/register", { phone: text(form, "phone"), password: password(form), nickname: text(form, "username") }),
  "reset email": async (form) => {
    const account = { email: text(form, "email"), password: password(form) };
    await post("/api/login/reset-password", { ...account, code: text(form, "code") });
    await post("/api/login/login", account);
  },
};

export async function view() {
  const card = h("div", { class: "card sign" });
  draw(card);
  return { content: card, title: t("sign.in"), className: "centered" };
}

function draw(card) {
  const choose = (next) => { [mode, by] = next; draw(card); card.querySelector("input").focus(); };
  const tab = (label, next, isChosen) =>
    h("button", { type: "button", "aria-pressed": String(isChosen), onclick: () => choose(next) }, label);
  const problem = h("p", { class: "problem", role: "alert" });
  const code = mode !== "in" && by === "email";
  const form = h("form", { onsubmit: (event) => { event.preventDefault(); submit(form, problem); } },
    by === "email" ? field(t("email"), { name: "email", type: "email", autocomplete: "email", required: true })
      : field(t("phone"), { name: "phone", type: "tel", autocomplete: "tel", required: true }),
    code && h("div", { class: "row" },
      field(t("code"), { name: "code", inputmode: "numeric", autocomplete: "one-time-code", pattern: "[0-9]{6}", required: true }),
      action(t("send-code"), async () => {
        if (!form.elements.email.reportValidity()) return;
        await post("/api/login/send-code", { email: text(form, "email") });
        problem.textContent = t("code-sent");
      }, { name: "send-code" })),
    mode === "up" && field(t("username"), { name: "username", maxlength: 30, autocomplete: "username", required: by === "email" }),
    field(mode === "reset" ? t("new-password") : t("password"), {
      name: "password", type: "password", minlength: 6, maxlength: 72, required: true,
      autocomplete: mode === "in" ? "current-password" : "new-password" }),
    h("div", { class: "second" }),
    problem,
    h("button", { class: "primary", name: "submit" }, t(`sign.${mode}`)));
  fill(card,
    h("h1", null, "hitok"),
    mode !== "reset" && h("div", { class: "tabs", role: "group", "aria-label": t("sign.what") },
      tab(t("sign.in"), ["in", by], mode === "in"), tab(t("sign.up"), ["up", by], mode === "up")),
    mode !== "reset" && h("div", { class: "tabs", role: "group", "aria-label": t("sign.how") },
      tab(t("email"), [mode, "email"], by === "email"), tab(t("phone"), [mode, "phone"], by === "phone")),
    form,
    by === "email" && mode !== "up" && h("button", { type: "button", class: "plain", onclick: () => choose([mode === "reset" ? "in" : "reset", "email"]) },
      mode === "reset" ? t("back") : t("forgot")));
}

async function submit(form, problem) {
  const send = form.elements.submit;
  send.disabled = true;
  problem.textContent = "";
  try {
    await SUBMIT[`${mode} ${by}`](form);
    await signedIn();
    dispatchEvent(new Event("hitok:session"));
  } catch (error) {
    problem.textContent = error.message;
    if (SHUT_OUT.has(error.code)) offerAppeal(form, problem);
    if (CODE_MISSING.has(error.code) || CODE_WRONG.has(error.code)) askSecondCode(form, error.message);
  } finally {
    send.disabled = false;
  }
}

function offerAppeal(form, problem) {
  const subject = { [by]: text(form, by), password: password(form), ...second(form) };
  problem.append(" ", button(t("appeal"), () => openAppeal("appeal-by-password", subject), { name: "appeal" }));
}

/** Shows the field for the code of the authenticator app, or for a recovery code; after a new password, to sign in. */
function askSecondCode(form, message) {
  if (mode !== "in") {
    const card = form.closest(".card"), given = { email: text(form, "email"), password: password(form) };
    mode = "in";
    draw(card);
    form = card.querySelector("form");
    for (const [name, value] of Object.entries(given)) form.elements[name].value = value;
    form.querySelector(".problem").textContent = message;
  }
  if (!form.elements.second_code)
    fill(form.querySelector(".second"), field(t("second-code"), { name: "second_code", autocomplete: "one-time-code", required: true }));
  form.elements.second_code.select();
}
