// Your profile and your videos.
import { post, uploadFile } from "../api.mjs";
import { field, h } from "../dom.mjs";
import { numbersOf } from "../follows.mjs";
import { videoGrid } from "../grid.mjs";
import { t } from "../i18n.mjs";
import { changed, load, me, signOut } from "../session.mjs";
import { action, attempt, avatar, section, toast } from "../ui.mjs";

export async function view() {
  await load(); // the numbers
  return {
    content: [
      h("header", { class: "profile" }, avatar(me), h("div", null, h("h1", null, me.username), h("p", null, me.bio), numbersOf(me)),
        h("a", { class: "button", href: "#/saved" }, t("page.saved")),
        h("a", { class: "button", href: "#/settings" }, t("settings")),
        action(t("sign.out"), async () => {
          await signOut();
          dispatchEvent(new Event("hitok:session"));
        }, { name: "sign-out" })),
      Number(me.role) >= 3 && h("p", null, h("a", { class: "button", href: "/console" }, t("console"))),
      section(t("profile.videos"), videoGrid("/api/videos/user-videos", { user_id: me.id })),
      section(t("profile.liked"), videoGrid("/api/videos/liked-videos")),
      section(t("profile.edit"), profileForm()),
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
