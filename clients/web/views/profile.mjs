// A user: who they are, how they stand to you, what they published.
import { get, post } from "../api.mjs";
import { h } from "../dom.mjs";
import { followButton, numbersOf } from "../follows.mjs";
import { isFriend, request } from "../friends.mjs";
import { videoGrid } from "../grid.mjs";
import { t } from "../i18n.mjs";
import { reportButton } from "../report.mjs";
import { me } from "../session.mjs";
import { action, avatar, section, toast } from "../ui.mjs";

export async function view(id) {
  const [of, friend] = await Promise.all([get("/api/user/get-user-info", { id }), id === me.id ? false : isFriend(id)]);
  return {
    content: [
      h("header", { class: "profile" }, avatar(of), h("div", null, h("h1", null, of.username), h("p", null, of.bio), numbersOf(of))),
      id === me.id ? h("a", { class: "button", href: "#/me" }, t("profile.edit")) : relations(id, friend, of),
      section(t("profile.videos"), videoGrid("/api/videos/user-videos", { user_id: id })),
    ],
    title: of.username,
  };
}

function relations(id, friend, of) {
  const add = friend ? h("span", { class: "hint" }, t("friends.are"))
    : action(t("friends.add"), async () => {
      await request(id);
      add.replaceWith(h("span", { class: "hint" }, t("friends.asked")));
    }, { class: "primary", name: "add-friend" });
  return h("div", { class: "row" }, followButton(of), add, h("a", { class: "button", href: `#/chat/with/${id}` }, t("message")),
    action(t("mute"), async () => {
      await post("/api/contact/mute", { target_id: id });
      toast(t("mute.done"), "#/muted");
    }, { name: "mute" }),
    action(t("block"), async () => {
      if (!confirm(t("block.sure"))) return;
      await post("/api/contact/block", { target_id: id });
      toast(t("block.done"), "#/muted");
    }), reportButton(t("report"), { kind: "user", id }));
}
