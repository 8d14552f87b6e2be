// Your profile and what you choose for this browser.
import { get, post, uploadFile } from "../api.mjs";
import { field, h } from "../dom.mjs";
import { videoGrid } from "../grid.mjs";
import { language, t } from "../i18n.mjs";
import { keep, kept } from "../kept.mjs";
import { changed, load, me, signOut } from "../session.mjs";
import { action, attempt, avatar, section, toast } from "../ui.mjs";

const WHO_MAY_ADD = ["everyone", "ask", "nobody"];

export async function view() {
  const { who_may_add } = await get("/api/contact/get-settings");
  return {
    content: [
      h("header", { class: "profile" }, avatar(me), h("div", null, h("h1", null, me.username), h("p", null, me.bio)),
        action(t("sign.out"), async () => {
          await signOut();
          dispatchEvent(new Event("hitok:session"));
        }, { name: "sign-out" })),
      Number(me.role) >= 3 && h("p", null, h("a", { class: "button", href: "/console" }, t("console"))),
      section(t("profile.videos"), videoGrid("/api/videos/user-videos", { user_id: me.id })),
      section(t("profile.liked"), videoGrid("/api/videos/liked-videos")),
      section(t("profile.edit"), profileForm()),
      section(t("settings"), choices(who_may_add)),
    ],
    title: t("nav.me"),
  };
}

function profileForm() {
  const form = h("form", { onsubmit: (event) => {
    event.preventDefault();
    attempt(async () => {
      const { username, bio, avatar } = form.elements;
      const changes = { username: username.value.trim(), bio: bio.value.trim() };
      if (avatar.files[0]) changes.avatar = await uploadFile(avatar.files[0]);
      await post("/api/user/set-profile", changes);
      changed(me.id);
      await load();
      toast(t("saved"));
      dispatchEvent(new Event("hitok:session"));
    });
  } },
  field(t("username"), { name: "username", value: me.username, maxlength: 30, required: true }),
  field(t("bio"), { name: "bio", value: me.bio, maxlength: 200 }),
  field(t("avatar"), { name: "avatar", type: "file", accept: "image/*" }),
  h("button", { class: "primary" }, t("save")));
  return form;
}

function choices(whoMayAdd) {
  const select = (label, name, options, chosen, choose) => h("label", { class: "field" }, h("span", null, label),
    h("select", { name, onchange: (event) => choose(event.target.value) },
      Object.entries(options).map(([value, text]) => h("option", { value, selected: value === chosen }, text))));
  return h("form", null,
    select(t("may-add"), "may-add", Object.fromEntries(WHO_MAY_ADD.map((who) => [who, t(`may-add.${who}`)])), whoMayAdd, (value) =>
      attempt(async () => {
        await post("/api/contact/set-settings", { who_may_add: value });
        toast(t("saved"));
      })),
    select(t("language"), "language", { en: "English", zh: "中文" }, language, (value) => {
      keep("language", value);
      location.reload();
    }),
    select(t("theme"), "theme", { "": t("theme.system"), light: t("theme.light"), dark: t("theme.dark") }, kept("theme", ""), (value) => {
      keep("theme", value || null);
      document.documentElement.dataset.theme = value;
    }));
}
