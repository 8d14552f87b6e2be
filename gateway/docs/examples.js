// Puts what a user sees into the examples of the API page: their own things where a route changes them, others' where it
// does not. What there is none of keeps the example of the description.

/** Things by name: `video` is one of the feed, `ownVideo` the user's, and so on. What is not there is undefined. */
export async function look(token) {
  const ask = async (method, path, query = {}) => {
    const search = new URLSearchParams(query).toString();
    const response = await fetch(search ? `${path}?${search}` : path, { method, headers: { authorization: `Bearer ${token}` } }).catch(() => null);
    if (!response?.ok) return {};
    const answer = await response.json();
    return "data" in answer && "code" in answer ? answer.data ?? {} : answer;
  };
  const get = (path, query) => ask("GET", path, query), first = (list) => list?.[0];
  const me = await get("/api/user/get-my-info");
  const isAdmin = Number(me.role) >= 3;
  const [feed, own, friends, groups, chats, notifications, files, sessions, requests, saved, acts, cases, appeals, decided] = await Promise.all([
    get("/api/videos", { page_size: 50 }), get("/api/videos/user-videos", { user_id: me.id }), get("/v1/social/friends"),
    get("/api/contact/get-group-list", { page_size: 50 }), get("/api/chat/conversations"), get("/api/chat/notifications", { limit: 1 }),
    get("/api/file/mine"), get("/api/user/sessions"), get("/v1/social/friend/putIns", { type: 0 }),
    get("/api/saved/collections"), get("/api/moderation/my-acts"),
    ...(isAdmin ? [get("/api/moderation/cases"), get("/api/moderation/appeals"), get("/api/moderation/acts")] : [{}, {}, {}]),
  ]);
  const ownGroup = groups.groups?.find((one) => one.owner_id === me.id), ownVideo = discussed(own.data), video = discussed(feed.data);
  const [members, joins, comments, ownComments, askers] = await Promise.all([
    ownGroup ? get("/v1/social/group/users", { group_id: ownGroup.id }) : {},
    ownGroup ? get("/v1/social/group/putIns", { group_id: ownGroup.id, class: 2, type: 0 }) : {},
    video ? get("/api/videos/get-comments", { id: video.id, is_video: true }) : {},
    ownVideo ? get("/api/videos/get-comments", { id: ownVideo.id, is_video: true }) : {}, get("/api/contact/get-follow-requests"),
  ]);
  const friend = first(friends.list)?.friend_uid, friendIds = new Set(friends.list?.map((one) => one.friend_uid));
  const seen = [...(feed.data ?? []), ...(comments.comments ?? []), ...(ownComments.comments ?? [])].map((one) => one.user_id);
  const stranger = seen.find((id) => id !== me.id && !friendIds.has(id));
  const chat = chats.conversations?.find((one) => one.last_message) ?? first(chats.conversations);
  return {
    me: me.id, myName: me.username, myEmail: me.email || undefined, phone: `138${String(Date.now()).slice(-8)}`, friend, stranger: stranger ?? friend,
    strangerName: stranger && (await get("/api/user/get-user-info", { id: stranger })).username,
    video: video?.id, ownVideo: ownVideo?.id,
    comment: first(comments.comments)?.id ?? first(ownComments.comments)?.id, ownComment: (first(ownComments.comments) ?? comments.comments?.find((one) => one.user_id === me.id))?.id,
    written: [...(ownComments.comments ?? []), ...(comments.comments ?? [])].find((one) => one.user_id === me.id)?.id,
    group: first(groups.groups)?.id, ownGroup: ownGroup?.id, joinedGroup: groups.groups?.find((one) => one.owner_id !== me.id)?.id,
    member: members.List?.find((one) => one.user.id !== me.id)?.user.id,
    request: requests.list?.find((one) => one.user_id !== me.id)?.id, joinRequest: first(joins.list)?.id,
    chat: chat?.conversation_id, seq: chat?.last_seq, message: chat?.last_message?.message_id,
    notification: first(notifications.notifications)?.notification_id,
    file: files.files?.find((one) => one.kind === "video")?.id ?? first(files.files)?.id, film: files.files?.find((one) => one.kind === "video")?.url,
    collection: first(saved.collections)?.collection_id,
    asker: first(askers.users)?.id, unused: files.files?.find((one) => !one.in_use)?.id,
    session: sessions.sessions?.find((one) => !one.current)?.session_id, // not this one: it would end
    promoted: isAdmin ? friend : me.id, // an admin who sets their own role loses it
    ownAct: acts.acts?.find((one) => !one.reversed_at)?.act_id,
    case: first(cases.cases)?.case_id, appeal: first(appeals.appeals)?.appeal_id, act: first(decided.acts)?.act_id,
    once: [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join(""),
  };
}

/** One with comments, if there is one. */
const discussed = (videos) => videos?.find((one) => Number(one.comment_count)) ?? videos?.[0];

// What a parameter names, on any route …
const NAMES = {
  id: "me", user_id: "me", owner_id: "me", video_id: "video", comment_id: "comment", father_id: "comment", target_id: "friend",
  conversation_id: "chat", conversationId: "chat", msgId: "message", group_id: "group", community_id: "group", seq: "seq",
  user_uid: "stranger", recvId: "friend", session_id: "session", notification_ids: "notification", client_msg_id: "once",
  phone: "phone", friend_req_id: "request", group_req_id: "joinRequest", video_path: "film", case_id: "case", act_id: "act", appeal_id: "appeal",
  collection_id: "collection",
};
// … and where it is something else.
const OWN_VIDEO = { video_id: "ownVideo" }, OWN_GROUP = { community_id: "ownGroup", group_id: "ownGroup", target_id: "member" };
const FILE = { id: "file" }, OF_VIDEO = { id: "video" }, OF_COMMENT = { id: "comment" };
const ROUTES = {
  "/api/user/set-role": { id: "promoted" }, "/api/login/login": { email: "myEmail" }, "/api/login/send-code": { email: "myEmail" },
  "/api/contact/add-friend": { username: "strangerName" }, "/api/contact/search-users": { query: "myName" },
  "/api/contact/handle-follow-request": { target_id: "asker" },
  "/api/contact/leave-community": { community_id: "joinedGroup" }, "/api/contact/remove-member": OWN_GROUP,
  "/api/contact/set-member-role": OWN_GROUP, "/api/contact/transfer-community": OWN_GROUP, "/api/contact/dismiss-community": OWN_GROUP,
  "/api/contact/update-community": OWN_GROUP, "/v1/social/group/invite": { ...OWN_GROUP, user_uid: "friend" },
  "/v1/social/group/putIns": OWN_GROUP,
  "PUT /v1/social/group/putIn": OWN_GROUP,
  "/api/videos/update-video": OWN_VIDEO, "/api/videos/delete-video": OWN_VIDEO, "/api/videos/set-captions": OWN_VIDEO,
  "/api/videos/delete-captions": OWN_VIDEO, "/api/videos/pin-video": OWN_VIDEO, "/api/videos/delete-comment": { comment_id: "ownComment" },
  "/api/videos/edit-comment": { comment_id: "written" }, "/api/videos/pin-comment": { comment_id: "ownComment" },
  "/api/videos/get-video": OF_VIDEO, "/api/videos/get-comments": { ...OF_VIDEO, before_id: "none" },
  "/api/videos/get-comment-member": OF_VIDEO, "/api/videos/get-comment-all": OF_COMMENT, "/api/videos/get-comment-likes": OF_COMMENT,
  "/api/report/create-report": OF_COMMENT, "/api/chat/send": { user_id: "friend" },
  "/api/file/status": FILE, "/api/file/retry": FILE, "/api/file/delete": { id: "unused" }, "/api/moderation/appeal": { act_id: "ownAct" },
};

/** The document, with the world in its examples. */
export function fill(document_, world) {
  for (const [path, methods] of Object.entries(document_.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const names = { ...NAMES, ...(ROUTES[path] ?? ROUTES[`${method.toUpperCase()} ${path}`]) };
      for (const parameter of operation.parameters ?? []) parameter.example = filled(parameter.name, parameter.example, names, world);
      for (const content of Object.values(operation.requestBody?.content ?? {})) content.example = filled("", content.example, names, world);
    }
  }
  return document_;
}

function filled(name, example, names, world) {
  if (Array.isArray(example)) return example.map((each) => filled(name, each, names, world));
  if (name === "conversationList" && world.chat) return { [world.chat]: { read: world.seq } };
  if (example && typeof example === "object") {
    return Object.fromEntries(Object.entries(example).map(([key, value]) => [key, filled(key, value, names, world)]));
  }
  return world[names[name]] ?? example;
}
