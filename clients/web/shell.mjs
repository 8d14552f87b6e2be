// What the web app and the console start with: the theme, the link past the navigation, and who is here.
import { onSignedOut } from "./api.mjs";
import { t } from "./i18n.mjs";
import { kept } from "./kept.mjs";
import { forget, load, me } from "./session.mjs";
import { toast } from "./ui.mjs";

const theme = kept("theme");
if (theme) document.documentElement.dataset.theme = theme;

/** Shows the first view in `main`; `show` draws the view that the address names. `leave` is called when the session has ended. */
export async function begin(main, show, leave = () => {}) {
  onSignedOut.call = () => {
    if (!me && !kept("signed-in")) return;
    leave();
    forget();
    toast(t("signed-out"));
    show();
  };
  const skip = document.getElementById("skip");
  skip.textContent = t("skip");
  skip.addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
  addEventListener("hashchange", show);
  await load().catch((error) => error.status === 401 || toast(error.message));
  await show();
}
