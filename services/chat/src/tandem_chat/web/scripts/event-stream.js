// Reads Server-Sent Events from a fetch response, and paces the attempts to open one again. What the events mean is
// left to the readers.

/** The service sends a comment line at least every 15 s; three missed ones mean the connection is dead. */
const SILENCE_LIMIT_MS = 45_000;
const FIRST_WAIT_MS = 300;
const LONGEST_WAIT_MS = 10_000;

/** The connection was lost in the middle, or nothing came through it for too long. */
export class BrokenStream extends Error {}

/** Yields `{name, id, data}` with parsed JSON data; returns when the stream ends. Throws BrokenStream. */
export async function* readEvents(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let fields = {};
  try {
    for (;;) {
      const { value, done } = await withinSilenceLimit(reader.read().catch(breakOff));
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (line === "" || line === "\r") {
          if (fields.data !== undefined) yield finished(fields);
          fields = {};
        } else {
          addField(fields, line.replace(/\r$/, ""));
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function breakOff(error) {
  throw error.name === "AbortError" ? error : new BrokenStream(error.message);
}

function finished({ event = "message", id, data }) {
  return { name: event, id, data: JSON.parse(data) };
}

function addField(fields, line) {
  const colon = line.indexOf(":");
  if (colon === 0) return;
  const name = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
  fields[name] = name === "data" && fields.data !== undefined ? `${fields.data}\n${value}` : value;
}

async function withinSilenceLimit(reading) {
  let timer;
  const silence = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new BrokenStream("it fell silent")), SILENCE_LIMIT_MS);
  });
  try {
    return await Promise.race([reading, silence]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits longer after each attempt that brought nothing; `reset` after one that did. */
export class Backoff {
  #waitMs = FIRST_WAIT_MS;

  reset() {
    this.#waitMs = FIRST_WAIT_MS;
  }

  async wait(signal, atLeastSeconds = 0) {
    const ms = Math.max(this.#waitMs * (0.75 + Math.random() / 2), atLeastSeconds * 1000);
    this.#waitMs = Math.min(this.#waitMs * 2, LONGEST_WAIT_MS);
    await pause(ms, signal);
  }
}

export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}
