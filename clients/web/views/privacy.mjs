// Who may add you, who sees you, and who finds you.
import { get, post } from "../api.mjs";
import { check, choice, settingsHead } from "../forms.mjs";
import { t } from "../i18n.mjs";

const texts = (names, text) => Object.fromEntries(names.map((name) => [name, text(name)]));

export async function view() {
  const found = await get("/api/contact/get-settings");
  const save = (name) => (value) => post("/api/contact/set-settings", { [name]: value });
  const may = texts(["everyone", "ask", "nobody"], (name) => t(`may-add.${name}`));
  const sees = texts(["everyone", "friends", "nobody"], (name) => t(`sees.${name}`));
  const select = (label, name, options) => choice(label, name, options, found[name], save(name));
  return {
    content: [
      settingsHead("privacy"),
      select(t("may-add"), "who_may_add", may),
      select(t("may-follow"), "who_may_follow", texts(["everyone", "ask"], (name) => t(`may-follow.${name}`))),
      select(t("may-mention"), "who_may_mention", sees),
      select(t("sees.presence"), "who_sees_presence", sees),
      select(t("sees.last-login"), "who_sees_last_login", sees),
      check(t("searchable.phone"), "searchable_by_phone", found.searchable_by_phone, save("searchable_by_phone")),
      check(t("searchable.email"), "searchable_by_email", found.searchable_by_email, save("searchable_by_email")),
    ],
    title: t("page.privacy"), className: "narrow",
  };
}
