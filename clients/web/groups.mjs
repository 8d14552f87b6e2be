// Groups: those that anybody may join, and those whose owner or managers admit members.
import { get, post, put } from "./api.mjs";

const SOCIAL = "/v1/social/group";

/** Mine. */
export const groupPage = async (cursor) => {
  const page = await get("/api/contact/get-group-list", { cursor, page_size: 50 });
  return { items: page.groups, next_cursor: page.next_cursor };
};

/** One of mine; undefined if I am no member. */
export async function group(id) {
  for (let cursor = ""; ;) {
    const { items, next_cursor } = await groupPage(cursor);
    const found = items.find((one) => one.id === id);
    if (found || !next_cursor) return found;
    cursor = next_cursor;
  }
}

export const create = (name, desc, needsApproval) =>
  (needsApproval ? post(SOCIAL, { name }) : post("/api/contact/create-community", { name, desc }));

/** Joins it, or applies where that needs approval. */
export const join = (group_id, req_msg) => post(`${SOCIAL}/putIn`, { group_id, req_msg, join_source: 1 });

export const memberPage = (group_id) => async (cursor) => {
  const page = await get(`${SOCIAL}/users`, { group_id, cursor });
  return { items: page.List, next_cursor: page.next_cursor };
};

/** Unanswered applications; for the owner and the managers. */
export const applications = async (group_id) => (await get(`${SOCIAL}/putIns`, { group_id, class: 2, type: 0 })).list;

export const answerApplication = (group_id, group_req_id, accepts) =>
  put(`${SOCIAL}/putIn`, { group_id, group_req_id, handle_result: accepts ? 1 : 2 });

export const invite = (group_id, user_uid) => post(`${SOCIAL}/invite`, { group_id, user_uid });

export const leave = (community_id) => post("/api/contact/leave-community", { community_id });

export const searchGroups = async (query, cursor) => {
  const page = await get("/api/contact/search-communities", { query, cursor });
  return { items: page.groups, next_cursor: page.next_cursor };
};
