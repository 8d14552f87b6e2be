// A copy of all that is yours, and the end of the account.
import { get, post } from "../api.mjs";
import { fill, h } from "../dom.mjs";
import { form, passwordField, settingsHead } from "../forms.mjs";
import { t, time } from "../i18n.mjs";
import { forget } from "../session.mjs";
import { section, toast } from "../ui.mjs";

export async function view() {
  const status = h("div", { role: "status" });
  const draw = (link) => fill(status, link.status === "ready" && [
    h("p", null, t(link.mailed ? "export.mailed" : "export.ready", { at: time(link.expires_at) })),
    link.url && h("p", null, h("a", { class: "button primary", href: link.url, download: true }, t("export.download")))]);
  draw(await get("/api/user/export-status"));
  return {
    content: [
      settingsHead("data"),
      section(t("export"), h("p", null, t("export.what")), status,
        form(t("export.make"), "export", [passwordField(t("password"))], async (values) => draw(await post("/api/user/export", values)))),
      section(t("account.delete"), h("p", null, t("account.delete.what")),
        form(t("account.delete"), "delete-account", [passwordField(t("password"))], async (values) => {
          if (!confirm(t("account.delete.sure"))) return;
          await post("/api/user/delete-account", values);
          forget();
          toast(t("account.deleted"));
          dispatchEvent(new Event("hitok:session"));
        })),
    ],
    title: t("page.data"), className: "narrow",
  };
}
