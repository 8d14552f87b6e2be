// A group of yours: its members, who applies, and whom to invite.
import { friendPage } from "../friends.mjs";
import { h } from "../dom.mjs";
import { answerApplication, applications, group, invite, join, leave, memberPage } from "../groups.mjs";
import { t } from "../i18n.mjs";
import { reportButton } from "../report.mjs";
import { me } from "../session.mjs";
import { action, avatar, paged, section, userLink } from "../ui.mjs";

const ROLES = ["member", "manager", "owner"]; // by role_level
const MANAGER = 1;

export async function view(id) {
  const found = await group(id);
  if (!found) return { content: outside(id), title: t("group"), className: "narrow" };
  const first = await memberPage(id)("");
  const role = first.items.find((one) => one.user.is_current_user)?.role_level ?? 0;
  const members = h("ul", { class: "rows" });
  return {
    content: [
      h("header", { class: "profile" }, avatar({ username: found.name, avatar: found.img }),
        h("div", null, h("h1", null, found.name), h("p", null, found.desc), found.announcement && h("p", { class: "hint" }, found.announcement))),
      h("div", { class: "row" }, h("a", { class: "button primary", href: `#/chat/group/${id}` }, t("message")),
        found.owner_id !== me.id && action(t("groups.leave"), async () => {
          if (!confirm(t("groups.leave.sure", { name: found.name }))) return;
          await leave(id);
          location.hash = "#/groups";
        }),
        found.owner_id !== me.id && reportButton(t("report"), { kind: "group", id })),
      role >= MANAGER && await managing(id),
      section(t("groups.members", { n: found.member_count }), members, paged(members, memberPage(id), memberRow, "")),
    ],
    title: found.name, className: "narrow",
  };
}

/** For somebody who is no member, for instance after an invitation. */
function outside(id) {
  return [h("h1", null, t("group")), h("p", null, t("groups.outside")),
    action(t("groups.join"), async () => {
      await join(id);
      dispatchEvent(new Event("hashchange"));
    }, { class: "primary", name: "join" })];
}

const memberRow = (one) => h("li", null, userLink(one.user.id, one.user), one.role_level > 0 && h("span", { class: "hint" }, t(`role.${ROLES[one.role_level]}`)));

async function managing(id) {
  const waiting = await applications(id), friends = h("ul", { class: "rows" });
  const settle = (one, accepts) => async (event) => {
    await answerApplication(id, one.id, accepts);
    event.target.closest("li").remove();
  };
  return [
    waiting.length > 0 && section(t("groups.applications"), h("ul", { class: "rows" }, waiting.map((one) => h("li", null,
      userLink(one.user.id, one.user), one.req_msg && h("q", null, one.req_msg),
      action(t("accept"), settle(one, true), { class: "primary", name: "accept" }), action(t("refuse"), settle(one, false)))))),
    h("details", null, h("summary", null, t("groups.invite")), friends,
      paged(friends, friendPage, (friend) => h("li", null, userLink(friend.friend_uid, { username: friend.nickname, ...friend }),
        action(t("groups.invite"), async (event) => {
          await invite(id, friend.friend_uid);
          event.target.replaceWith(h("span", { class: "hint" }, t("groups.invited")));
        })), t("empty.friends"))),
  ];
}
