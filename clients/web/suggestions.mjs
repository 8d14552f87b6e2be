// While a #tag or an @name is typed: those that begin with it, to choose from.
import { get } from "./api.mjs";
import { fill, h } from "./dom.mjs";
import { t } from "./i18n.mjs";

const WAIT_MS = 200, MOST = 5;
const TYPED = /(?:^|\s)([#＃@＠])([^\s#＃@＠]+)$/u;

/** What goes below the input, or the text area. */
export function suggestions(input) {
  const box = h("div", { class: "tags suggestions", role: "group", "aria-label": t("suggestions"), hidden: true });
  let waiting = 0;
  const typed = () => TYPED.exec(input.value.slice(0, input.selectionStart));
  const show = (sign, names) => {
    box.hidden = !names.length;
    fill(box, names.map((name) => h("button", { type: "button", class: "plain", onclick: () => {
      const found = typed(), end = input.selectionStart;
      if (found) input.setRangeText(`${sign}${name} `, end - found[2].length - 1, end, "end");
      box.hidden = true;
      input.focus();
    } }, sign + name)));
  };
  const ask = async () => {
    const found = typed(), sign = /[#＃]/.test(found?.[1]) ? "#" : "@";
    const names = found ? await (sign === "#" ? tags : users)(found[2]) : [];
    if (typed()?.[2] === found?.[2]) show(sign, names);
  };
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => ask().catch(() => show("", [])), WAIT_MS); // without them one can still write
  });
  return box;
}

const tags = async (query) => (await get("/api/tags/suggest", { query, limit: MOST })).tags.map(({ tag }) => tag);

const users = async (query) => (await get("/api/contact/search-users", { query, limit: MOST })).users.map(({ username }) => username)
  .filter((name) => !/\s/.test(name));
