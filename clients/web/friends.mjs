// Friends and friend requests, by the routes with a step of acceptance.
import { get, post, put } from "./api.mjs";
import { me } from "./session.mjs";

const SOCIAL = "/v1/social/friend";

/** Asks the user to become friends. */
export const request = (user_uid, req_msg = "") => post(`${SOCIAL}/putIn`, { user_uid, req_msg });

export const answer = (friend_req_id, accepts) => put(`${SOCIAL}/putIn`, { friend_req_id, handle_result: accepts ? 1 : 2 });

/** Unanswered ones: `toMe` and `byMe`. */
export async function requests() {
  const { list } = await get(`${SOCIAL}/putIns`, { type: 0 });
  return { toMe: list.filter((one) => one.user_id !== me.id), byMe: list.filter((one) => one.user_id === me.id) };
}

export const friendPage = async (cursor) => {
  const page = await get(`${SOCIAL}s`, { cursor });
  return { items: page.list, next_cursor: page.next_cursor };
};

export const online = async () => (await get(`${SOCIAL}s/online`)).onLineList;

/** Whether the user is among my friends. */
export async function isFriend(id) {
  for (let cursor = ""; ;) {
    const { items, next_cursor } = await friendPage(cursor);
    if (items.some((friend) => friend.friend_uid === id)) return true;
    if (!(cursor = next_cursor)) return false;
  }
}

/** Ends it for both. */
export const unfriend = (target_id) => post("/api/contact/delete-friend", { target_id });

export const search = async (query, cursor) => {
  const page = await get("/api/contact/search-users", { query, cursor });
  return { items: page.users, next_cursor: page.next_cursor };
};
