// How the feed made for the user is made, and what they keep out of it.
import { get, post } from "../api.mjs";
import { h } from "../dom.mjs";
import { check, settingsHead } from "../forms.mjs";
import { t } from "../i18n.mjs";
import { action, paged, section, toast, userLink } from "../ui.mjs";

export async function view() {
  const { chronological } = await get("/api/videos/for-you-settings");
  const rows = h("ul", { class: "rows kept-out" });
  const read = async (cursor) => {
    const page = await get("/api/videos/kept-out", { cursor });
    return { items: page.data, next_cursor: page.next_cursor };
  };
  return {
    content: [
      settingsHead("for-you"),
      check(t("for-you.chronological"), "chronological", chronological, (value) => post("/api/videos/set-for-you-settings", { chronological: value })),
      section(t("for-you.kept-out"), rows, paged(rows, read, row, t("empty.kept-out"))),
      section(t("for-you.reset"), h("p", { class: "hint" }, t("for-you.reset.what")), action(t("for-you.reset"), async () => {
        if (!confirm(t("for-you.reset.what"))) return;
        await post("/api/videos/reset-for-you");
        rows.replaceChildren();
        toast(t("for-you.reset.done"));
      }, { name: "reset-for-you" })),
    ],
    title: t("page.for-you"), className: "narrow",
  };
}

function row({ video_id, author_id, tag }) {
  const [what, subject] = tag ? [`#${tag}`, { tag }]
    : author_id !== "0" ? [userLink(author_id), { author_id }]
      : [h("a", { class: "user", href: `#/v/${video_id}` }, t("for-you.video")), { video_id }];
  return h("li", null, h("span", { class: "lines" }, what), action(t("for-you.allow"), async (event) => {
    const line = event.target.closest("li");
    await post("/api/videos/not-interested", { ...subject, undone: true });
    line.remove();
  }, { name: "allow" }));
}
