// The pages of the settings, and what is chosen for this browser.
import { h } from "../dom.mjs";
import { choice } from "../forms.mjs";
import { language, t } from "../i18n.mjs";
import { keep, kept } from "../kept.mjs";
import { section } from "../ui.mjs";

const PAGES = ["privacy", "pushes", "for-you", "muted", "security", "sessions", "reports", "data"];

export async function view() {
  return {
    content: [
      h("h1", null, t("settings")),
      h("ul", { class: "rows" }, PAGES.map((name) => h("li", null, h("a", { class: "user", href: `#/${name}` },
        h("span", { class: "lines" }, h("span", null, t(`page.${name}`)), h("span", { class: "hint preview" }, t(`page.${name}.what`))))))),
      section(t("settings.browser"),
        choice(t("language"), "language", { en: "English", zh: "中文" }, language, (value) => {
          keep("language", value);
          location.reload();
        }),
        choice(t("theme"), "theme", { "": t("theme.system"), light: t("theme.light"), dark: t("theme.dark") }, kept("theme", ""), (value) => {
          keep("theme", value || null);
          document.documentElement.dataset.theme = value;
        })),
    ],
    title: t("settings"), className: "narrow",
  };
}
