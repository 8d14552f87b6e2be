import createClient, { type Client } from "openapi-fetch";
import type { paths } from "./schema.js";

/** Typed calls of every route: `const { data } = await hitok(base, token).GET("/api/user/get-my-info")`. */
export function hitok(baseUrl: string, token?: string): Client<paths> {
  return createClient<paths>({ baseUrl, headers: token ? { Authorization: `Bearer ${token}` } : {} });
}

export type { components, paths } from "./schema.js";
