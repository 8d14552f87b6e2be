// What this browser keeps between visits. Without storage (a private window may refuse it) the page works as on a first visit.
const PREFIX = "hitok.";

export function kept(name, otherwise = null) {
  try { return JSON.parse(localStorage.getItem(PREFIX + name)) ?? otherwise; } catch { return otherwise; }
}

export function keep(name, value) {
  try {
    if (value === null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch { /* as above */ }
}

/** The names under which something is kept, of those that begin with `prefix`. */
export function keptNames(prefix) {
  try {
    return Object.keys(localStorage).filter((name) => name.startsWith(PREFIX + prefix)).map((name) => name.slice(PREFIX.length));
  } catch { return []; }
}
