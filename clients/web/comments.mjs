// The comments of a video, in a dialog: read, write, reply, like, delete.
import { get, post } from "./api.mjs";
import { button, dialog, fill, h, icon } from "./dom.mjs";
import { number, t, time } from "./i18n.mjs";
import { linked } from "./linked.mjs";
import { reportButton } from "./report.mjs";
import { me } from "./session.mjs";
import { suggestions } from "./suggestions.mjs";
import { action, attempt, paged, userLink } from "./ui.mjs";

/** `changed(by)` hears that there are more or fewer. */
export function openComments(video, changed) {
  const video_id = video.id;
  const list = h("div", { class: "thread" });
  const body = h("div", { class: "scroll" });
  let answered = null; // the comment that is replied to, and where its replies are shown
  const draw = () => {
    fill(list);
    fill(body, list, paged(list, (cursor) => read(video_id, true, cursor), show, t("empty.comments")));
  };
  const hint = h("p", { class: "hint", hidden: true });
  const reply = (to) => {
    answered = to;
    hint.hidden = !to;
    fill(hint, to && [t("replying", { name: to.name }), " ", button(t("cancel"), () => reply(null), { class: "plain" })]);
    input.focus();
  };
  const pin = video.user_id === me.id && (async (comment) => {
    await post("/api/videos/pin-comment", { comment_id: comment.id, pinned: !comment.pinned });
    draw();
  });
  const show = (comment) => oneComment(comment, reply, () => changed(-1), pin);
  const input = h("input", { name: "text", maxlength: 500, required: true, autocomplete: "off", "aria-label": t("comment.write"), placeholder: t("comment.write") });
  const form = h("form", { class: "row", onsubmit: (event) => {
    event.preventDefault();
    attempt(async () => {
      const content = input.value.trim();
      if (!content) return;
      if (answered) await post("/api/videos/comment-comments", { father_id: answered.id, content });
      else await post("/api/videos/comment-video", { video_id, content });
      input.value = "";
      changed(1);
      if (answered) await answered.refresh(); else draw();
      reply(null);
    });
  } }, input, h("button", { class: "primary", "aria-label": t("send") }, icon("send")));
  dialog(t("comments"), t("close"), body, hint, suggestions(input), form);
  draw();
  if (video.who_may_comment !== "everyone") get("/api/videos/get-video", { id: video_id }).then(({ may_comment }) => {
    input.disabled = !may_comment;
    if (!may_comment) input.placeholder = t("comment.closed");
  }, () => {});
}

async function read(id, is_video, cursor = "") {
  const page = await get("/api/videos/get-comments", { id, is_video, cursor });
  return { items: page.comments, next_cursor: page.next_cursor };
}

/** A client may have written any JSON. */
const textOf = (content) => (typeof content === "string" ? content : content?.text ?? JSON.stringify(content));

function oneComment(comment, reply, gone, pin) {
  const replies = h("div", { class: "replies" });
  const isReply = comment.reply_to_id !== "0";
  let liked = false, likes = Number(comment.likes);
  const refresh = async () => {
    const { items } = await read(comment.id, false);
    const answers = items.filter((item) => item.id !== comment.id).reverse(); // the oldest first, as they were said
    fill(replies, answers.map((answer) => oneComment(answer, reply, gone)));
    count.hidden = true;
  };
  const like = action([icon("like"), h("span", null, number(likes))], async () => {
    await post(`/api/videos/${liked ? "unlike" : "like"}-comments`, { comment_id: comment.id });
    liked = !liked;
    likes += liked ? 1 : -1;
    fill(like, icon("like"), h("span", null, number(likes)));
    like.setAttribute("aria-pressed", String(liked));
  }, { class: "plain like", "aria-label": t("like"), "aria-pressed": "false" });
  const count = action(t("replies", { n: comment.comments }), refresh, { class: "plain" });
  count.hidden = isReply || comment.comments === "0";
  const said = h("p", { class: "text" }, linked(textOf(comment.content), comment.entities));
  const edited = h("span", null, comment.edited_at !== "0" && t("message.edited"));
  const edit = () => {
    const input = h("input", { name: "edited", value: textOf(comment.content), maxlength: 500, required: true, "aria-label": t("comment.write") });
    said.after(h("form", { class: "row", onsubmit: (event) => {
      event.preventDefault();
      attempt(async () => {
        const answer = await post("/api/videos/edit-comment", { comment_id: comment.id, content: input.value.trim() });
        comment = answer.comment;
        fill(said, linked(textOf(comment.content), comment.entities));
        fill(edited, t("message.edited"));
        event.target.remove();
      });
    } }, input, h("button", { class: "primary" }, t("save"))));
    input.focus();
  };
  const element = h("article", { class: "comment", "data-id": comment.id },
    userLink(comment.user_id),
    said,
    h("div", { class: "row meta" },
      h("time", null, time(Number(comment.CreatedTime))), edited, comment.pinned && h("span", { class: "pinned" }, t("mark.pinned")), like,
      pin && !isReply && action(t(comment.pinned ? "pin.off" : "pin"), () => pin(comment), { class: "plain", name: "pin-comment" }),
      comment.user_id === me.id && action(t("edit"), async () => edit(), { class: "plain", name: "edit-comment" }),
      !isReply && action(t("reply"), async () => {
        reply({ id: comment.id, name: element.querySelector(".name")?.textContent ?? "", refresh });
      }, { class: "plain reply" }),
      comment.user_id !== me.id && reportButton(t("report"), { kind: "comment", id: comment.id }, { class: "plain" }),
      comment.user_id === me.id && action(t("delete"), async () => {
        await post("/api/videos/delete-comment", { comment_id: comment.id });
        element.remove();
        gone();
      }, { class: "plain" })),
    count, replies);
  return element;
}
