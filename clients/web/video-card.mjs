// A video with what can be done with it. It plays natively, and only while most of it is in view.
import { post } from "./api.mjs";
import { openShare } from "./cards.mjs";
import { openComments } from "./comments.mjs";
import { button, fill, h, icon, sized, webUrl } from "./dom.mjs";
import { number, t } from "./i18n.mjs";
import { keep, kept } from "./kept.mjs";
import { linked } from "./linked.mjs";
import { reportButton } from "./report.mjs";
import { ownButton } from "./own-video.mjs";
import { saveButton } from "./saved.mjs";
import { me } from "./session.mjs";
import { attempt, toast, userLink } from "./ui.mjs";

const VIEW_SECONDS = 2; // after which a view counts, as the API has it

let isMuted = kept("muted", true); // browsers start a video by themselves only without sound

const inView = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen) {
    if (isIntersecting) play(target);
    else target.pause();
  }
}, { threshold: 0.6 });

function play(video) {
  video.preload = "auto";
  video.muted = isMuted;
  video.play().catch(() => {}); // refused without a gesture: the controls are there
}

export function videoCard(data) {
  const card = h("article", { class: "video", "data-id": data.id, "aria-label": data.title });
  fill(card, player(data, card), h("div", { class: "about" },
    userLink(data.user_id),
    h("h2", null, linked(data.title, data.title_entities)),
    data.description && h("p", null, linked(data.description, data.description_entities))),
    h("div", { class: "actions" }, likeButton(data), commentButton(data), shareButton(data), saveButton(data), soundButton(),
      data.user_id === me.id && ownButton(data),
      data.user_id !== me.id && reportButton(icon("flag"), { kind: "video", id: data.id }, { class: "report", "aria-label": t("report") })));
  return card;
}

function player(data, card) {
  const source = webUrl(data.playback_url || (data.status === "ready" ? data.url : ""));
  if (!source) return h("p", { class: "hint state", role: "status" }, t(`status.${data.status}`));
  const video = h("video", { src: source, poster: sized(data.cover, 512) || null, loop: true, playsinline: true, preload: "none", tabindex: "0", "aria-label": data.title });
  video.controls = false;
  video.addEventListener("click", () => (video.paused ? play(video) : video.pause()));
  video.addEventListener("keydown", (event) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    if (video.paused) play(video); else video.pause();
  });
  video.addEventListener("error", () => { card.append(h("p", { class: "hint state", role: "status" }, t("not-playable"))); });
  countView(video, data.id);
  inView.observe(video);
  return video;
}

/** Tells that a view counts and, when the video stops, how much of it was watched: also that it was skipped. */
function countView(video, video_id) {
  let most = 0, told = 0;
  const tell = () => {
    told = most;
    post("/api/videos/view-video", { video_id, watched_seconds: most }).catch(() => {}); // it counts next time
  };
  video.addEventListener("timeupdate", () => {
    most = Math.max(most, video.currentTime);
    const bound = Math.min(VIEW_SECONDS, video.duration / 2);
    if (told < bound && most >= bound) tell();
  });
  video.addEventListener("pause", () => { if (most > told * 1.5) tell(); });
}

function likeButton(data) {
  let liked = data.is_liked, count = Number(data.likes);
  const label = h("span", null, number(count));
  const element = button([icon("like"), label], () => attempt(async () => {
    await post(`/api/videos/${liked ? "unlike" : "like"}-video`, { video_id: data.id });
    liked = !liked;
    count += liked ? 1 : -1;
    label.textContent = number(count);
    element.setAttribute("aria-pressed", String(liked));
  }), { class: "like", "aria-label": t("like"), "aria-pressed": String(liked) });
  return element;
}

function commentButton(data) {
  const label = h("span", null, number(data.comments));
  const changed = (by) => {
    data.comments = Number(data.comments) + by;
    label.textContent = number(data.comments);
  };
  return button([icon("comment"), label], () => openComments(data, changed), { class: "comments", "aria-label": t("comments") });
}

function shareButton(data) {
  const label = h("span", null, number(data.shares));
  return button([icon("share"), label], () => openShare(data, async () => {
    const url = `${location.origin}/#/v/${data.id}`;
    if (navigator.share) await navigator.share({ title: data.title, url });
    else {
      await navigator.clipboard.writeText(url);
      toast(t("copied"));
    }
    await post("/api/videos/share-video", { video_id: data.id });
  }), { class: "share", "aria-label": t("share") });
}

function soundButton() {
  const element = button(icon(isMuted ? "muted" : "sound"), () => {
    isMuted = !isMuted;
    keep("muted", isMuted);
    document.querySelectorAll("video").forEach((video) => { video.muted = isMuted; });
    document.querySelectorAll("button.sound").forEach((each) => {
      fill(each, icon(isMuted ? "muted" : "sound"));
      each.setAttribute("aria-pressed", String(!isMuted));
    });
  }, { class: "sound", "aria-label": t("sound"), "aria-pressed": String(!isMuted) });
  return element;
}
