// What was reported, as the first reporter saw it.
import { h, webUrl } from "../dom.mjs";
import { t } from "../i18n.mjs";

const TEXTS = ["title", "username", "name", "content", "body"]; // by which a reader knows it again, the best first
const URLS = new Set(["avatar", "icon", "cover_url", "video_url"]);

/** JSON in a string, as comments and messages have it, in words. */
function words(value) {
  try {
    const read = JSON.parse(value);
    return typeof read === "string" ? read : read?.text ?? value;
  } catch { return value; }
}

export function excerpt(snapshot) {
  const name = TEXTS.find((each) => snapshot?.[each]);
  return name ? words(snapshot[name]).slice(0, 80) : "…";
}

export function snapshotOf(snapshot) {
  const rows = Object.entries(snapshot ?? {}).filter(([, value]) => value);
  return h("dl", { class: "facts" }, rows.map(([name, value]) => [h("dt", null, t(`fact.${name}`)), h("dd", null, shown(name, value))]));
}

function shown(name, value) {
  if (!URLS.has(name) || !webUrl(value)) return words(String(value));
  if (name === "video_url") return h("video", { src: value, controls: true, preload: "metadata", "aria-label": t("fact.video_url") });
  return h("img", { src: value, alt: "", loading: "lazy" });
}

/** A link to a user, into the console. */
export function consoleUser(link) {
  link.href = link.getAttribute("href").replace("#/u/", "#/user/");
  return link;
}
