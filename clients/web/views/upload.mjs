// Upload a video, publish it, and watch until it plays.
import { get, post } from "../api.mjs";
import { chat } from "../chat.mjs";
import { button, field, fill, h } from "../dom.mjs";
import { t } from "../i18n.mjs";
import { WHO } from "../own-video.mjs";
import { me } from "../session.mjs";
import { suggestions } from "../suggestions.mjs";
import { upload } from "../tus.mjs";

const POLL_MS = 1000;

export async function view() {
  const status = h("p", { class: "status", role: "status" });
  const bar = h("progress", { max: 1, value: 0, hidden: true, "aria-label": t("upload.progress") });
  const stopper = new AbortController();
  let running = null; // the controller of the upload that is under way
  const file = h("input", { name: "file", type: "file", accept: "video/*,.mkv,.mov,.avi,.webm", required: true });
  const pause = button(t("upload.pause"), () => running?.abort(), { hidden: true });
  const submit = h("button", { class: "primary", name: "submit" }, t("upload.publish"));

  const form = h("form", { onsubmit: async (event) => {
    event.preventDefault();
    submit.disabled = true;
    running = new AbortController();
    bar.hidden = pause.hidden = false;
    bar.setAttribute("aria-label", t("upload.progress"));
    try {
      const url = await upload(file.files[0], (share, isWaiting) => {
        bar.value = share;
        status.textContent = isWaiting ? t("upload.waiting") : t("upload.sent", { percent: Math.floor(share * 100) });
      }, running.signal);
      pause.hidden = true;
      await publish(form, url);
      await follow(url, { status, bar }, stopper.signal);
    } catch (error) {
      status.textContent = error.name === "AbortError" ? t("upload.paused") : error.message;
      submit.textContent = error.name === "AbortError" ? t("upload.resume") : t("again");
    } finally {
      submit.disabled = false;
      pause.hidden = true;
    }
  } },
  h("label", { class: "drop", ondragover: (event) => event.preventDefault(), ondrop: (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) { file.files = event.dataTransfer.files; file.dispatchEvent(new Event("change")); }
  } }, h("span", null, t("upload.choose")), file),
  written(t("title"), { name: "title", maxlength: 100, required: true }),
  written(t("description"), { name: "description", rows: 3, maxlength: 500 }),
  h("label", { class: "field" }, h("span", null, t("visibility")), h("select", { name: "visibility" },
    ["public", "friends", "private"].map((name) => h("option", { value: name }, t(`visibility.${name}`))))),
  h("label", { class: "field" }, h("span", null, t("own.comments")), h("select", { name: "who_may_comment" },
    WHO.map((name) => h("option", { value: name }, t(`who.${name}`))))),
  bar, h("div", { class: "row" }, submit, pause), status);
  file.addEventListener("change", () => {
    const { title } = form.elements;
    if (!title.value && file.files[0]) title.value = file.files[0].name.replace(/\.\w+$/, "").slice(0, 100);
  });
  return {
    content: [h("h1", null, t("nav.upload")), form], title: t("nav.upload"), className: "narrow",
    leave: () => { running?.abort(); stopper.abort(); },
  };
}

/** A field with suggestions of tags and names. */
function written(label, props) {
  const made = field(label, props);
  return [made, suggestions(made.querySelector("input, textarea"))];
}

function publish(form, url) {
  const { title, description, visibility, who_may_comment } = form.elements;
  return post("/api/videos/create-video", {
    video_path: url, title: title.value.trim(), description: description.value.trim(), visibility: visibility.value,
    who_may_comment: who_may_comment.value });
}

/** Says how far the processing is, until the video plays or cannot: as the socket tells, and by asking. */
async function follow(url, { status, bar }, signal) {
  const tell = (file) => {
    bar.value = file.progress / 100;
    status.textContent = t("upload.processing", { percent: file.progress });
  };
  bar.value = 0;
  bar.setAttribute("aria-label", t("upload.processed"));
  while (!signal.aborted) {
    const file = await get("/api/file/status", { id: url });
    if (file.status === "ready") {
      const page = await get("/api/videos/user-videos", { user_id: me.id, page_size: 4 }); // pinned ones come first
      bar.hidden = true;
      fill(status, t("upload.ready"), " ", h("a", { href: `#/v/${newest(page.data).id}` }, t("upload.watch")));
      return;
    }
    if (file.status === "failed") {
      bar.hidden = true;
      status.textContent = t("upload.failed", { reason: file.reason });
      return;
    }
    tell(file);
    await nextWord(file.id, tell, signal);
  }
}

const newest = (videos) => videos.reduce((one, other) => (BigInt(other.id) > BigInt(one.id) ? other : one));

/** Waits until it is time to ask again: at once when the socket says that the processing ended. */
function nextWord(id, tell, signal) {
  return new Promise((resolve) => {
    const hear = ({ detail }) => {
      if (detail.id !== id) return;
      if (detail.status === "processing") tell(detail);
      else end();
    };
    const end = () => { clearTimeout(timer); chat.removeEventListener("file.progress", hear); resolve(); };
    const timer = setTimeout(end, POLL_MS);
    chat.addEventListener("file.progress", hear);
    signal.addEventListener("abort", end, { once: true });
  });
}
