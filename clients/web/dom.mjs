// Makes elements. Text always becomes text nodes, never markup; the page's policy forbids innerHTML besides.

/** `props`: attributes (true: present, false or null: absent) and, with names that begin with "on", event handlers. */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...present(children));
  return element;
}

/** Replaces what the element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...present(children));
  return element;
}

/** Makes `elements` what the element holds, without moving those that are in place: a video among them plays on. */
export function arrange(element, elements) {
  elements.forEach((each, at) => {
    if (element.children[at] !== each) element.insertBefore(each, element.children[at] ?? null);
  });
  while (element.children.length > elements.length) element.lastChild.remove();
}

const present = (children) => children.flat(Infinity).filter((child) => child != null && child !== false);

const SVG = "http://www.w3.org/2000/svg";
const PATHS = {
  feed: "M4 5h16v14H4z M10 9l5 3-5 3z",
  friends: "M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8z M2 21c0-5 3-7 7-7s7 2 7 7 M16 3.5a4 4 0 0 1 0 7 M18 14c3 1 4 3 4 7",
  upload: "M12 5v14 M5 12h14",
  chats: "M4 4h16v12H9l-5 5z",
  me: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8z M4 21c0-5 3-7 8-7s8 2 8 7",
  bell: "M6 16V10a6 6 0 0 1 12 0v6l2 2H4z M10 21h4",
  save: "M6 4h12v16l-6-4-6 4z",
  like: "M12 20s-8-5-8-11a4.5 4.5 0 0 1 8-2.8A4.5 4.5 0 0 1 20 9c0 6-8 11-8 11z",
  comment: "M4 4h16v12H9l-5 5z M8 8h8 M8 12h5",
  share: "M14 5l7 6-7 6v-4c-6 0-9 2-11 6 0-6 4-10 11-10z",
  sound: "M4 9v6h4l5 4V5L8 9z M16 8a6 6 0 0 1 0 8",
  muted: "M4 9v6h4l5 4V5L8 9z M16 9l6 6 M22 9l-6 6",
  groups: "M7 12a3 3 0 1 0 0-6 3 3 0 0 0 0 6z M17 12a3 3 0 1 0 0-6 3 3 0 0 0 0 6z M2 20c0-4 2-6 5-6s5 2 5 6 M12 20c0-4 2-6 5-6s5 2 5 6",
  back: "M15 5l-7 7 7 7",
  send: "M3 11l18-8-7 18-3-7z",
  flag: "M6 21V4h12l-3 4 3 4H6",
  more: "M5 12h.01 M12 12h.01 M19 12h.01",
  pin: "M9 3h6l-1 6 4 4H6l4-4z M12 13v8",
  quiet: "M6 16V10a6 6 0 0 1 9-5 M18 9v5l2 2H8 M10 21h4 M4 3l17 18",
  close: "M6 6l12 12 M18 6L6 18",
};

/** Decoration: the control that holds it has a name of its own. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** The url if a browser may fetch it, else "". */
export const webUrl = (url) => (/^(https?:\/\/|\/(?!\/))/i.test(url ?? "") ? url : "");

/** The url of a picture of ours in a width that the gateway makes: 64, 128, 256, 512 or 1080; other urls as they are. */
export function sized(url, width) {
  const found = webUrl(url);
  if (!/\/media\/[0-9a-f]{64}\.\w+(\?|$)/.test(found)) return found;
  return `${found}${found.includes("?") ? "&" : "?"}w=${width}`;
}

/** A button that is disabled while what it started goes on. */
export function button(label, act, props = {}) {
  const element = h("button", { type: "button", ...props, onclick: async (event) => {
    if (element.disabled) return;
    element.disabled = true;
    try { await act(event); } finally { element.disabled = false; }
  } }, label);
  return element;
}

/** A form's labelled input. */
export const field = (label, props) => h("label", { class: "field" }, h("span", null, label), h(props.rows ? "textarea" : "input", props));

/** A dialog that goes when it is closed. It keeps the focus and closes on Escape, as browsers do it. */
export function dialog(title, closeLabel, ...children) {
  const element = h("dialog", { class: "sheet", "aria-label": title, onclose: () => element.remove() },
    h("header", null, h("h2", null, title), button(icon("close"), () => element.close(), { class: "plain", "aria-label": closeLabel })),
    ...children);
  element.addEventListener("click", (event) => event.target === element && element.close());
  document.body.append(element);
  element.showModal();
  return element;
}
