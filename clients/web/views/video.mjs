// One video, with its comments if the address ends in /comments.
import { get } from "../api.mjs";
import { h } from "../dom.mjs";
import { videoCard } from "../video-card.mjs";

export async function view(id) {
  const { video } = await get("/api/videos/get-video", { id });
  return { content: h("div", { class: "videos" }, videoCard(video)), title: video.title, className: "feed" };
}
