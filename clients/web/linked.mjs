// A text whose tags and mentions are links.
import { h } from "./dom.mjs";

/** `entities` count code points, as the API does, so an emoji is one or more but never a half. */
export function linked(text, entities = []) {
  const points = [...text], parts = [];
  let shown = 0;
  for (const { kind, offset, length, tag, user_id } of entities) {
    const href = kind === "tag" ? `#/feed/tag/${encodeURIComponent(tag)}` : `#/u/${user_id}`;
    parts.push(points.slice(shown, offset).join(""), h("a", { href, class: kind }, points.slice(offset, offset + length).join("")));
    shown = offset + length;
  }
  return [...parts, points.slice(shown).join("")];
}
