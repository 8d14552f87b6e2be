// The page's language: the one chosen here before, else the browser's. A page is loaded anew when it changes.
import en from "./lang/en.mjs";
import zh from "./lang/zh.mjs";
import { kept } from "./kept.mjs";

const LANGUAGES = { en, zh };
export const language = LANGUAGES[kept("language")] ? kept("language") : navigator.language?.startsWith("zh") ? "zh" : "en";
document.documentElement.lang = language === "zh" ? "zh-CN" : "en";

/** The text of a key, with {name} replaced from `values`; the key itself if there is none. */
export const t = (key, values = {}) =>
  (LANGUAGES[language][key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

export const has = (key) => key in LANGUAGES[language];

const short = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "short", timeStyle: "short" });
/** A time in milliseconds or RFC 3339. */
export const time = (when) => short.format(new Date(when));

const day = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "short" });
const clock = new Intl.DateTimeFormat(document.documentElement.lang, { timeStyle: "short" });
/** Short: the time of day for today, else the day. */
export const when = (at) => (day.format(new Date(at)) === day.format(new Date()) ? clock : day).format(new Date(at));

const compact = new Intl.NumberFormat(document.documentElement.lang, { notation: "compact" });
export const number = (value) => compact.format(Number(value));
