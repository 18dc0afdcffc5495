// The chat service's HTTP API, one function per call. Reading event streams is event-stream.js's job.

import { authorization } from "./token.js";

/** An answer other than success, or none at all (`code` "unreachable", `status` 0). */
export class ChatProblem extends Error {
  constructor({ status, code, detail, errors = [], retryAfterSeconds = null }) {
    super(detail);
    Object.assign(this, { status, code, detail, errors, retryAfterSeconds });
  }

  get mayPass() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

export function unreachable() {
  return new ChatProblem({ status: 0, code: "unreachable", detail: "The server cannot be reached." });
}

async function call(method, path, { body, accept = "application/json", signal } = {}) {
  const headers = { Accept: accept, ...authorization() };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, body: body && JSON.stringify(body), signal, cache: "no-store" });
  } catch (error) {
    throw error.name === "AbortError" ? error : unreachable();
  }
  if (!response.ok) {
    const problem = await readProblem(response);
    if (problem.code === "unauthenticated") {
      document.dispatchEvent(new CustomEvent("sign-in-needed", { detail: problem.detail }));
    }
    throw problem;
  }
  return response;
}

async function readProblem(response) {
  const document = await response.json().catch(() => ({}));
  const seconds = Number.parseFloat(response.headers.get("Retry-After"));
  return new ChatProblem({
    status: response.status,
    code: document.code ?? "unknown",
    detail: document.detail ?? document.title ?? `The server answered with status ${response.status}.`,
    errors: document.errors ?? [],
    retryAfterSeconds: Number.isFinite(seconds) ? seconds : null,
  });
}

async function json(...request) {
  const response = await call(...request);
  return response.json().catch((error) => {
    throw error.name === "AbortError" ? error : unreachable();
  });
}

const segment = encodeURIComponent;
const events = "text/event-stream";

export const checkReady = () => call("GET", "ready");

export const createConversation = () => json("POST", "v1/conversations", { body: {} });
export const listConversations = (cursor) =>
  json("GET", `v1/conversations?limit=50${cursor ? `&cursor=${segment(cursor)}` : ""}`);
export const readConversation = (id, signal) => json("GET", `v1/conversations/${segment(id)}`, { signal });
export const deleteConversation = (id) => call("DELETE", `v1/conversations/${segment(id)}`);

export const postMessage = (id, content, signal) =>
  call("POST", `v1/conversations/${segment(id)}/messages`, { body: { content }, accept: events, signal });
export const retryReply = (id, signal) =>
  call("POST", `v1/replies/${segment(id)}/retry`, { accept: events, signal });
export const stopReply = (id) => json("POST", `v1/replies/${segment(id)}/stop`);
export const replyEvents = (id, after, signal) =>
  call("GET", `v1/replies/${segment(id)}/events?after=${after}`, { accept: events, signal });

export const requestFeedback = (id) => json("POST", `v1/conversations/${segment(id)}/feedback`, { body: {} });
export const listFeedback = (id, signal) => json("GET", `v1/conversations/${segment(id)}/feedback`, { signal });
export const feedbackEvents = (id, signal) =>
  call("GET", `v1/feedback/${segment(id)}/events`, { accept: events, signal });
