// A copy of all that is yours, and the end of the account.
import { get, post } from "../api.mjs";
import { fill, h } from "../dom.mjs";
import { form, passwordField, settingsHead } from "../forms.mjs";
import { t, time } from "../i18n.mjs";
import { forget } from "../session.mjs";
import { section, toast } from "../ui.mjs";

const POLL_MS = 1000;

export async function view() {
  const status = h("div", { role: "status" }), gone = new AbortController();
  await follow(status, await get("/api/user/export-status"), gone.signal, true);
  return {
    content: [
      settingsHead("data"),
      section(t("export"), h("p", null, t("export.what")), status,
        form(t("export.make"), "export", [passwordField(t("password"))], async (values) =>
          follow(status, await post("/api/user/export", values), gone.signal))),
      section(t("account.delete"), h("p", null, t("account.delete.what")),
        form(t("account.delete"), "delete-account", [passwordField(t("password"))], async (values) => {
          if (!confirm(t("account.delete.sure"))) return;
          await post("/api/user/delete-account", values);
          forget();
          toast(t("account.deleted"));
          dispatchEvent(new Event("hitok:session"));
        })),
    ],
    title: t("page.data"), className: "narrow", leave: () => gone.abort(),
  };
}

/** Shows how far the copy is, until it is ready. Only the answer to its request has the address, if it was not mailed. */
async function follow(status, link, signal, isOnce = false) {
  const { url } = link;
  while (link.status === "preparing" && !isOnce && !signal.aborted) {
    fill(status, h("p", null, t("export.preparing")), h("progress", { max: link.total || 1, value: link.done, "aria-label": t("export.preparing") }));
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    link = await get("/api/user/export-status");
  }
  if (link.status === "none") return;
  const made = t(link.mailed ? "export.mailed" : "export.ready", { at: time(link.expires_at) });
  fill(status, h("p", null, link.status === "preparing" ? t("export.preparing") : made),
    url && h("p", null, h("a", { class: "button primary", href: url, download: true }, t("export.download"))));
}
