// An appeal against a decision of moderators: another one looks at it again.
import { post } from "./api.mjs";
import { dialog, field } from "./dom.mjs";
import { form } from "./forms.mjs";
import { t } from "./i18n.mjs";
import { toast } from "./ui.mjs";

/** `route` of api/moderation takes `subject`, which names the decision or the user, and the text. `made()` hears of it. */
export function openAppeal(route, subject, made = () => {}) {
  const open = dialog(t("appeal.title"), t("close"),
    form(t("send"), "send-appeal", [field(t("appeal.text"), { name: "text", rows: 5, maxlength: 1000, required: true })], async ({ text }) => {
      await post(`/api/moderation/${route}`, { ...subject, text });
      open.close();
      toast(t("appeal.made"));
      made();
    }));
}
