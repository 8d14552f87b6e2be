// Forms and choices of the settings.
import { h } from "./dom.mjs";
import { attempt, toast } from "./ui.mjs";
import { t } from "./i18n.mjs";

/** `submit(values)` gets what was typed, by name. Its refusal is shown above the button; else the form is emptied. */
export function form(label, name, fields, submit) {
  const problem = h("p", { class: "problem", role: "alert" }), send = h("button", { class: "primary", name }, label);
  const element = h("form", { onsubmit: async (event) => {
    event.preventDefault();
    send.disabled = true;
    problem.textContent = "";
    try {
      await submit(Object.fromEntries(new FormData(element)));
      element.reset();
    } catch (error) { problem.textContent = error.message; } finally { send.disabled = false; }
  } }, fields, problem, send);
  return element;
}

const chosen = (choose, value) => attempt(async () => {
  await choose(value);
  toast(t("saved"));
});

/** `options`: value → text. `choose(value)` saves what was chosen. */
export const choice = (label, name, options, value, choose) => h("label", { class: "field" }, h("span", null, label),
  h("select", { name, onchange: (event) => chosen(choose, event.target.value) },
    Object.entries(options).map(([each, text]) => h("option", { value: each, selected: each === value }, text))));

export const check = (label, name, checked, choose) => h("label", { class: "row check" },
  h("input", { type: "checkbox", name, checked, onchange: (event) => chosen(choose, event.target.checked) }), h("span", null, label));

export const passwordField = (label, name = "password", autocomplete = "current-password") =>
  h("label", { class: "field" }, h("span", null, label), h("input", { name, type: "password", autocomplete, minlength: 6, maxlength: 72, required: true }));

/** The heading of a page of the settings, with the way back. */
export const settingsHead = (name) => h("header", { class: "row between" }, h("h1", null, t(`page.${name}`)),
  h("a", { class: "button", href: "#/settings" }, t("back")));
