// A video by its id, also one that is hidden; a report puts it into the queue.
import { get } from "../api.mjs";
import { h, webUrl } from "../dom.mjs";
import { t, time } from "../i18n.mjs";
import { reportButton } from "../report.mjs";
import { me } from "../session.mjs";
import { userLink } from "../ui.mjs";
import { consoleUser } from "./subjects.mjs";

export async function view(id = "") {
  const form = h("form", { role: "search", class: "row", onsubmit: (event) => {
    event.preventDefault();
    location.hash = `#/video/${encodeURIComponent(event.target.elements.id.value.trim().split("/").at(-1))}`;
  } },
  h("input", { name: "id", type: "search", value: id, required: true, "aria-label": t("console.video.id"), placeholder: t("console.video.id") }),
  h("button", { class: "primary" }, t("search")));
  const shown = id && show((await get("/api/videos/get-video", { id })).video);
  return { content: [h("h1", null, t("console.video")), form, shown], title: t("console.video"), className: "narrow" };
}

function show(video) {
  const source = webUrl(video.playback_url || video.url);
  return [h("h2", null, video.title), h("p", null, video.description),
    h("p", null, consoleUser(userLink(video.user_id)), " ", h("span", { class: "hint" }, time(Number(video.CreatedTime)), " · ", t(`visibility.${video.visibility}`))),
    source && h("video", { class: "wide", src: source, controls: true, preload: "metadata", "aria-label": video.title }),
    video.user_id !== me.id && reportButton(t("report"), { kind: "video", id: video.id })];
}
