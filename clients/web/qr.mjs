// QR codes (ISO/IEC 18004) of up to 230 bytes: versions 1 to 9, error correction L. The mask is always the first one:
// readers take any.
const BLOCKS = [ // of each version: how many, data bytes in each, check bytes in each
  [1, 19, 7], [1, 34, 10], [1, 55, 15], [1, 80, 20], [1, 108, 26], [2, 68, 18], [2, 78, 20], [2, 97, 24], [2, 116, 30]];
const ALIGNED = [[], [6, 18], [6, 22], [6, 26], [6, 30], [6, 34], [6, 22, 38], [6, 24, 42], [6, 26, 46]];
const FORMAT = 0b111011111000100; // of L with the first mask
const HEADER_BITS = 12;

/** An SVG of it; null if the text is too long. */
export function qrCode(text) {
  const rows = modules(text);
  if (!rows) return null;
  const size = rows.length + 8, svg = svgElement("svg", { class: "qr", viewBox: `-4 -4 ${size} ${size}`, role: "img", "aria-label": "QR" });
  const path = rows.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : ""))).join("");
  svg.append(svgElement("path", { d: path }));
  return svg;
}

function svgElement(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/** Rows of booleans, true for dark; null if the text is too long. */
export function modules(text) {
  const bytes = new TextEncoder().encode(text);
  const at = BLOCKS.findIndex(([count, data]) => bytes.length * 8 + HEADER_BITS <= count * data * 8);
  if (at < 0) return null;
  const version = at + 1, size = 17 + 4 * version, dark = grid(size), fixed = grid(size);
  const set = (x, y, value) => {
    if (x < 0 || y < 0 || x >= size || y >= size) return;
    dark[y][x] = Boolean(value);
    fixed[y][x] = true;
  };
  drawFixed(set, version, size);
  drawData(dark, fixed, size, codewords(bytes, ...BLOCKS[at]));
  return dark;
}

const grid = (size) => Array.from({ length: size }, () => new Array(size).fill(false));

/** Draws what does not depend on the text. */
function drawFixed(set, version, size) {
  for (let i = 0; i < size; i++) {
    set(6, i, i % 2 === 0);
    set(i, 6, i % 2 === 0);
  }
  for (const [x, y] of [[3, 3], [size - 4, 3], [3, size - 4]]) square(set, x, y, 4, (far) => far !== 2 && far !== 4);
  const places = ALIGNED[version - 1], last = places.at(-1), inCorner = (x, y) => x === 6 && (y === 6 || y === last);
  for (const x of places) for (const y of places) if (!inCorner(x, y) && !inCorner(y, x)) square(set, x, y, 2, (far) => far !== 1);
  for (let i = 0; i < 15; i++) {
    const bit = (FORMAT >> i) & 1, near = i < 6 ? i : i < 8 ? i + 1 : size - 15 + i;
    set(8, near, bit);
    set(i < 8 ? size - 1 - i : i < 9 ? 15 - i : 14 - i, 8, bit);
  }
  set(8, size - 8, true);
  if (version < 7) return;
  let rest = version;
  for (let i = 0; i < 12; i++) rest = (rest << 1) ^ ((rest >> 11) * 0x1f25);
  for (let i = 0; i < 18; i++) {
    const bit = (((version << 12) | rest) >> i) & 1, a = size - 11 + (i % 3), b = Math.floor(i / 3);
    set(a, b, bit);
    set(b, a, bit);
  }
}

function square(set, x, y, reach, isDark) {
  for (let dy = -reach; dy <= reach; dy++) for (let dx = -reach; dx <= reach; dx++)
    set(x + dx, y + dy, isDark(Math.max(Math.abs(dx), Math.abs(dy))));
}

/** Fills the rest in pairs of columns, from the right, up and down. */
function drawData(dark, fixed, size, words) {
  let bit = 0;
  for (let right = size - 1, up = true; right > 0; right -= 2, up = !up) {
    if (right === 6) right = 5;
    for (let i = 0; i < size; i++) for (const x of [right, right - 1]) {
      const y = up ? size - 1 - i : i;
      if (fixed[y][x]) continue;
      dark[y][x] = Boolean((words[bit >> 3] >> (7 - (bit & 7))) & 1) !== ((x + y) % 2 === 0);
      bit += 1;
    }
  }
}

/** The text with its length and padding, in blocks that are interleaved, then their check bytes. */
function codewords(bytes, count, length, checks) {
  const bits = [0, 1, 0, 0, ...[...[bytes.length], ...bytes].flatMap((byte) => [...byte.toString(2).padStart(8, "0")].map(Number)), 0, 0, 0, 0];
  const words = [];
  for (let i = 0; i < bits.length; i += 8) words.push(parseInt(bits.slice(i, i + 8).join(""), 2));
  for (let pad = 0xec; words.length < count * length; pad ^= 0xec ^ 0x11) words.push(pad);
  const blocks = Array.from({ length: count }, (_, n) => words.slice(n * length, (n + 1) * length));
  const interleaved = (lists) => lists[0].flatMap((_, i) => lists.map((list) => list[i]));
  return [...interleaved(blocks), ...interleaved(blocks.map((block) => remainder(block, checks)))];
}

/** Reed-Solomon over GF(256). */
function remainder(block, checks) {
  let divisor = [...new Array(checks - 1).fill(0), 1];
  for (let i = 0, root = 1; i < checks; i++, root = times(root, 2))
    divisor = divisor.map((each, at) => times(each, root) ^ (divisor[at + 1] ?? 0));
  const rest = new Array(checks).fill(0);
  for (const byte of block) {
    const factor = byte ^ rest.shift();
    rest.push(0);
    divisor.forEach((each, at) => { rest[at] ^= times(each, factor); });
  }
  return rest;
}

function times(a, b) {
  let product = 0;
  for (let i = 7; i >= 0; i--) product = (product << 1) ^ ((product >> 7) * 0x11d) ^ (((b >> i) & 1) * a);
  return product;
}
