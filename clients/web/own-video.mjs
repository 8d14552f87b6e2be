// What owners set for a video: whether it is pinned, and who may comment on it.
import { post } from "./api.mjs";
import { button, dialog, icon } from "./dom.mjs";
import { check, choice } from "./forms.mjs";
import { t } from "./i18n.mjs";

export const WHO = ["everyone", "followers", "friends", "nobody"];
export const whoOptions = () => Object.fromEntries(WHO.map((name) => [name, t(`who.${name}`)]));

export function ownButton(data) {
  return button(icon("more"), () => dialog(t("own.settings"), t("close"),
    check(t("own.pinned"), "pinned", data.pinned, async (pinned) => {
      await post("/api/videos/pin-video", { video_id: data.id, pinned });
      data.pinned = pinned;
    }),
    choice(t("own.comments"), "who_may_comment", whoOptions(), data.who_may_comment, async (who_may_comment) => {
      await post("/api/videos/update-video", { video_id: data.id, who_may_comment });
      data.who_may_comment = who_may_comment;
    })), { class: "own", "aria-label": t("own.settings") });
}
