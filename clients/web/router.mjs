// Shows in <main> the view that the address names: #/<name>/<part>/….
import { button, fill, h } from "./dom.mjs";
import { t } from "./i18n.mjs";

const SECOND_FACTOR_MISSING = 10074; // the user's role needs one

/**
 * `begin(name)` runs before each view, `find(name)` gives the module whose `view(…parts)` makes it: an object with
 * `content`, and optionally `title`, `className`, `keepsScroll` and `leave`, which is called when the view goes.
 * Returns the function that shows the present address.
 */
export function router(main, begin, find) {
  let leaving = null, shown = 0;
  return async function show() {
    const number = ++shown, address = location.hash;
    const [name, ...rest] = address.replace(/^#\/?/, "").split("/");
    leaving?.();
    leaving = null;
    document.querySelectorAll("dialog[open]").forEach((open) => open.close());
    try {
      begin(name);
      const { view } = await find(name);
      const made = await view(...rest.map(decodeURIComponent));
      if (number !== shown) return made.leave?.();
      main.className = made.className ?? "";
      fill(main, made.content);
      main.dataset.view = address;
      leaving = made.leave;
      document.title = made.title ? `${made.title} · hitok` : "hitok";
      if (number > 1) main.focus({ preventScroll: true }); // of a page just loaded, the start is at its top
      if (!made.keepsScroll) scrollTo(0, 0);
    } catch (error) {
      if (number === shown) fill(main, h("p", { class: "hint", role: "alert" }, error.message),
        error.code === SECOND_FACTOR_MISSING && h("p", null, h("a", { class: "button primary", href: "/#/security" }, t("page.security"))),
        button(t("again"), show));
    }
  };
}
