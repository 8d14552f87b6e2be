// Whom and which words you do not want to see, and whom you blocked.
import { get, post } from "../api.mjs";
import { field, fill, h } from "../dom.mjs";
import { form, settingsHead } from "../forms.mjs";
import { t } from "../i18n.mjs";
import { action, paged, section, userLink } from "../ui.mjs";

export async function view() {
  const words = h("ul", { class: "rows words" });
  const draw = async () => {
    const found = await get("/api/contact/get-muted-words");
    fill(words, found.words.map((word) => h("li", null, h("span", { class: "lines" }, word), undo("unmute-word", { word }))));
  };
  await draw();
  return {
    content: [
      settingsHead("muted"),
      section(t("muted.users"), users("get-mute-list", "unmute", t("unmute"), t("empty.muted"))),
      section(t("muted.words"), h("p", { class: "hint" }, t("muted.words.what")), words,
        form(t("mute"), "mute-word", [field(t("muted.word"), { name: "word", maxlength: 50, required: true })], async ({ word }) => {
          await post("/api/contact/mute-word", { word });
          await draw();
        })),
      section(t("blocked"), users("get-block-list", "unblock", t("unblock"), t("empty.blocked"))),
    ],
    title: t("page.muted"), className: "narrow",
  };
}

const undo = (route, body, label = t("unmute")) => action(label, async (event) => {
  const row = event.target.closest("li");
  await post(`/api/contact/${route}`, body);
  row.remove();
}, { name: route });

function users(list, route, label, empty) {
  const rows = h("ul", { class: "rows" });
  const read = async (cursor) => {
    const page = await get(`/api/contact/${list}`, { cursor });
    return { items: page.users, next_cursor: page.next_cursor };
  };
  return [rows, paged(rows, read, (one) => h("li", null, userLink(one.id, one), undo(route, { target_id: one.id }, label)), empty)];
}
