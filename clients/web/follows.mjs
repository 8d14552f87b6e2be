// Following a user, how many do, and the requests of those who ask to.
import { get, post } from "./api.mjs";
import { h } from "./dom.mjs";
import { number, t } from "./i18n.mjs";
import { action } from "./ui.mjs";

const SHOWN = 99;

/** Follows, unfollows, or takes back the request to. */
export function followButton(of) {
  let state = of.is_following ? "following" : of.follow_requested ? "requested" : "none";
  const button = action(t(`follow.${state}`), async () => {
    state = state === "none" ? (await post("/api/contact/follow", { target_id: of.id })).state
      : (await post("/api/contact/unfollow", { target_id: of.id }), "none");
    button.textContent = t(`follow.${state}`);
  }, { class: "primary", name: "follow" });
  return button;
}

/** The numbers of a profile, without those that are not known now. */
export function numbersOf(of) {
  const text = (name) => of[name] !== null && t(`profile.${name}`, { n: number(of[name]) });
  const link = (name, which) => text(name) && h("a", { href: `#/follows/${which}/${of.id}` }, text(name));
  return h("p", { class: "row numbers" }, link("followers_count", "followers"), link("following_count", "following"),
    ["likes_received", "videos_count"].map((name) => text(name) && h("span", { class: "hint" }, text(name))),
    of.is_mutual && h("span", { class: "hint" }, t("follow.mutual")));
}

/** How many users ask to follow the user, in words; "" if none do. */
export async function requestCount() {
  const { users } = await get("/api/contact/get-follow-requests", { limit: SHOWN + 1 });
  return users.length > SHOWN ? `${SHOWN}+` : String(users.length || "");
}
