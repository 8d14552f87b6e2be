// Calls the gateway. The session is in cookies that no script can read; X-Hitok-Web lets the gateway take them into
// account, and no page of another origin can send it.
import { has, language, t } from "./i18n.mjs";

const MARK = { "x-hitok-web": "1" };
const SESSION_LACKS = /^(TOKEN_|WRONG_TOKEN|SESSION_ENDED|CALLER_)/; // of x-error; a wrong password is a 401, too

/** `status` is 0 if nobody answered. */
export class Refusal extends Error {
  constructor(status, code, message) {
    // The server's own texts are Chinese.
    const other = language === "zh" && message ? message : t("error.other");
    super(status === 0 ? t("error.network") : has(`error.${code}`) ? t(`error.${code}`) : other);
    this.status = status;
    this.code = code;
  }
}

/** Called when the session has ended. */
export const onSignedOut = { call: () => {} };

/** The response, whatever its status; the session is renewed if that is what it lacks. Throws Refusal if nobody answers. */
export async function request(method, path, options = {}) {
  const response = await once(method, path, options);
  if (response.status !== 401 || !SESSION_LACKS.test(response.headers.get("x-error") ?? "")) return response;
  return (await renewed()) ? once(method, path, options) : response;
}

async function once(method, path, { headers, ...options }) {
  try {
    return await fetch(path, { method, headers: { ...MARK, ...headers }, credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, 0, "");
  }
}

let renewing = null;
/** One renewal for all requests that need it. */
function renewed() {
  renewing ??= renew().finally(() => { renewing = null; });
  return renewing;
}

async function renew() {
  const response = await once("POST", "/api/login/refresh-token", {});
  if (response.ok) return true;
  if (response.status >= 500 || response.status === 429) throw await refusal(response);
  onSignedOut.call();
  return false;
}

/** Throws it if the response is one. */
export async function refusal(response) {
  const body = await response.json().catch(() => ({}));
  return new Refusal(response.status, body.code, body.message ?? body.msg);
}

/** The answer's data: in an envelope or, in the second family's social routes, bare. Throws Refusal. */
export async function call(method, path, { query, body } = {}) {
  const search = new URLSearchParams(Object.entries(query ?? {}).flatMap(([name, value]) => [value].flat().map((each) => [name, each]))
    .filter(([, value]) => value !== undefined && value !== ""));
  const options = body instanceof FormData ? { body }
    : body ? { body: JSON.stringify(body), headers: { "content-type": "application/json" } } : {};
  const response = await request(method, search.size ? `${path}?${search}` : path, options);
  if (!response.ok) throw await refusal(response);
  const answer = await response.json();
  return "data" in answer && "code" in answer ? answer.data : answer;
}

export const get = (path, query) => call("GET", path, { query });
export const post = (path, body = {}) => call("POST", path, { body });
export const put = (path, body) => call("PUT", path, { body });

/** Uploads a small file as a form; its url. */
export async function uploadFile(file) {
  const form = new FormData();
  form.append("file", file);
  return (await post("/api/file/upload", form)).url;
}
