// What several pages show: toasts, users, lists that go on.
import { button, fill, h, sized } from "./dom.mjs";
import { t } from "./i18n.mjs";
import { user } from "./session.mjs";

const TOAST_MS = 5000, MAX_TOASTS = 3;

export function toast(text, href) {
  const element = href ? h("a", { class: "toast", href }, text) : h("p", { class: "toast" }, text);
  const toasts = document.getElementById("toasts");
  toasts.append(element);
  if (toasts.childElementCount > MAX_TOASTS) toasts.firstChild.remove();
  setTimeout(() => element.remove(), TOAST_MS);
}

/** Runs it, and shows its refusal as a toast; undefined then. */
export async function attempt(act) {
  try { return await act(); } catch (error) {
    if (error.name !== "AbortError") toast(error.message);
    return undefined;
  }
}

/** A button whose refusals become toasts. */
export const action = (label, act, props) => button(label, (event) => attempt(() => act(event)), props);

export function avatar(of) {
  const url = sized(of?.avatar, 128);
  return url ? h("img", { class: "avatar", src: url, alt: "", loading: "lazy" })
    : h("span", { class: "avatar", "aria-hidden": "true" }, [...(of?.username || of?.nickname || "?")][0].toUpperCase());
}

/** A link to the user, whose name comes later if only the id is known. */
export function userLink(id, known) {
  const link = h("a", { class: "user", href: `#/u/${id}` });
  const show = (of) => fill(link, avatar(of), h("span", { class: "name" }, of.remark || of.nickname || of.username));
  if (known) show(known); else user(id).then(show);
  return link;
}

/** A name that appears when it is known. */
export function nameOf(id) {
  const element = h("span", { class: "name" });
  user(id).then((of) => { element.textContent = of.username; });
  return element;
}

/**
 * Appends page after page to `list`. `read(cursor)` gives {items, next_cursor}, `show` an element for each item. The next
 * page is read when its end comes near.
 */
export function paged(list, read, show, empty) {
  const end = h("div", { class: "end", role: "status" });
  let cursor = "", reading = false, done = false;
  const more = async () => {
    if (reading || done) return;
    reading = true;
    try {
      const page = await read(cursor);
      list.append(...page.items.map(show));
      cursor = page.next_cursor;
      done = !cursor;
      fill(end, done && !list.childElementCount && h("p", { class: "hint" }, empty));
    } catch (error) {
      done = true;
      fill(end, h("p", { class: "hint" }, error.message), button(t("again"), () => { done = false; return more(); }));
    } finally { reading = false; }
    if (done) watcher.disconnect();
    else { watcher.unobserve(end); watcher.observe(end); } // it reports again if the end is still in view
  };
  const watcher = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && more(), { rootMargin: "600px" });
  watcher.observe(end);
  return end;
}

/** A heading and what is below it. */
export const section = (title, ...children) => h("section", null, h("h2", null, title), ...children);
