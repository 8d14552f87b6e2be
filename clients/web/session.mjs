// Who is signed in here, and the users whom the pages show.
import { get, post } from "./api.mjs";
import { keep, kept } from "./kept.mjs";

/** The signed-in user as get-my-info gives them; null for a visitor. */
export let me = null;

/** Reads `me`. Asks only if somebody has signed in with this browser. */
export async function load() {
  me = kept("signed-in") ? await get("/api/user/get-my-info") : null;
  if (me) users.set(me.id, Promise.resolve(me));
  return me;
}

export async function signedIn() {
  keep("signed-in", true);
  return load();
}

/** Forgets what belongs to the user. */
export function forget() {
  me = null;
  keep("signed-in", null);
  users.clear();
}

export async function signOut() {
  try { await post("/api/login/logout"); } finally { forget(); }
}

const MAX_USERS = 500;
const users = new Map(); // id → a promise of the user

const NOBODY = (id) => ({ id, username: "?", avatar: "", bio: "" });

/** A user by id; one without a name if they are gone. */
export function user(id) {
  if (!users.has(id)) {
    if (users.size > MAX_USERS) users.clear();
    users.set(id, get("/api/user/get-user-info", { id }).catch(() => {
      users.delete(id);
      return NOBODY(id);
    }));
  }
  return users.get(id);
}

export const changed = (id) => users.delete(id);
