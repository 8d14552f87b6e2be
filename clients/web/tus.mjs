// Resumable uploads by tus 1.0.0 at /api/file/tus. An upload goes on after a lost connection and, chosen again, after a
// reload: its address is kept until it ends.
import { Refusal, refusal, request } from "./api.mjs";
import { keep, kept } from "./kept.mjs";

const PATH = "/api/file/tus", VERSION = { "tus-resumable": "1.0.0" };
const PART_BYTES = 2 * 1024 * 1024;
const MAX_WAIT_MS = 15_000;

/**
 * `progress(share, isWaiting)`: 0 to 1, and whether the network is awaited. Resolves with the file's url. Throws Refusal,
 * or AbortError once `signal` is aborted; the upload can be resumed then.
 */
export async function upload(file, progress, signal) {
  const place = `upload.${file.name}.${file.size}.${file.lastModified}`;
  let address = kept(place), offset = null;
  for (let tries = 0; ;) {
    try {
      if (!address) {
        address = await create(file, signal);
        keep(place, address);
        offset = 0;
      }
      if (offset === null) {
        const found = await find(address, signal);
        if (!found) { keep(place, null); address = null; continue; }
        if (found.url) { keep(place, null); return found.url; }
        offset = found.offset;
      }
      progress(offset / file.size, false);
      const sent = await append(address, file, offset, signal);
      offset = sent.offset;
      tries = 0;
      progress(offset / file.size, false);
      if (sent.url) { keep(place, null); return sent.url; }
    } catch (error) {
      if (!(error instanceof Refusal) || (error.status && error.status < 500 && ![409, 423, 429].includes(error.status))) throw error;
      progress((offset ?? 0) / file.size, true);
      await pause(Math.min(MAX_WAIT_MS, 500 * 2 ** tries++), signal);
      offset = null; // how much arrived is the server's to say
    }
  }
}

async function create(file, signal) {
  const name = btoa(String.fromCharCode(...new TextEncoder().encode(file.name.slice(-200))));
  const headers = { ...VERSION, "upload-length": String(file.size), "upload-metadata": `filename ${name}` };
  const response = await request("POST", PATH, { headers, signal });
  if (response.status !== 201) throw await refusal(response);
  return new URL(response.headers.get("location"), location.origin).pathname; // on this origin, whatever its public name
}

/** What the server has of it; null if it is gone. */
async function find(address, signal) {
  const response = await request("HEAD", address, { headers: VERSION, signal });
  if (response.status === 404 || response.status === 410) return null;
  return answered(response);
}

async function append(address, file, offset, signal) {
  const headers = { ...VERSION, "upload-offset": String(offset), "content-type": "application/offset+octet-stream" };
  return answered(await request("PATCH", address, { headers, body: file.slice(offset, offset + PART_BYTES), signal }));
}

async function answered(response) {
  if (!response.ok) throw await refusal(response);
  return { offset: Number(response.headers.get("upload-offset")), url: response.headers.get("x-file-url") };
}

/** Shorter if the network comes back. */
function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const end = () => { clearTimeout(timer); removeEventListener("online", end); resolve(); };
    const timer = setTimeout(end, milliseconds);
    addEventListener("online", end);
    signal.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
  });
}
