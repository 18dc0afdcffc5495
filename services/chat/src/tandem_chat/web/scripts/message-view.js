// One message of the thread as DOM: who wrote it, its text, and what became of it. Where the text comes from is left to the
// conversation session.

import { element, icon, markLanguage } from "./elements.js";
import { FormattedText } from "./formatted-text.js";

const UNFINISHED = new Set(["queued", "running"]);
const RETRYABLE = new Set(["failed", "interrupted", "stopped"]);

export function isUnfinished(message) {
  return message.role === "assistant" && UNFINISHED.has(message.state);
}

export class QuestionView {
  /** `sending` until the service has stored it. */
  constructor(content, { sending = false } = {}) {
    const text = element("div", { class: "message__text message__text--asked", dir: "auto" }, content);
    markLanguage(text, content);
    this.node = element("li", { class: "message message--user", "data-sending": sending },
      element("h2", { class: "visually-hidden" }, "You"), text);
  }

  confirm() {
    delete this.node.dataset.sending;
  }
}

export class ReplyView {
  #text = element("div", { class: "message__text", dir: "auto" });
  #note = element("p", { class: "message__note" });
  #format = new FormattedText(this.#text);
  #onRetry;

  constructor(reply, { onRetry }) {
    this.id = reply.id;
    this.#onRetry = onRetry;
    this.node = element("li", { class: "message message--assistant" },
      element("h2", { class: "visually-hidden" }, "Answer"), this.#text, this.#note);
    this.show(reply);
  }

  show(reply, problem = null) {
    if (reply.content !== this.content) {
      this.#format.replace(reply.content);
      this.content = reply.content;
    }
    this.#setState(reply.state, problem ?? reply.error);
  }

  append(text) {
    this.content += text;
    this.#format.append(text);
    if (this.node.dataset.state !== "running" || !this.#note.hidden) this.#setState("running");
  }

  /** Said while the connection to a running reply is down. */
  showCut() {
    this.#showNote("Connection lost, joining again…");
  }

  #setState(state, error = null) {
    this.node.dataset.state = state;
    this.node.setAttribute("aria-busy", String(UNFINISHED.has(state)));
    if (!UNFINISHED.has(state)) this.#format.finish();
    if (RETRYABLE.has(state)) this.#showNote(outcome(state, error), this.#retryButton());
    else if (UNFINISHED.has(state) && this.content === "") this.#showNote(waiting(), "Waiting for the model…");
    else if (state === "completed" && this.content === "") this.#showNote("The model gave an empty answer.");
    else this.#showNote();
  }

  #showNote(...parts) {
    this.#note.replaceChildren(...parts);
    this.#note.hidden = parts.length === 0;
  }

  #retryButton() {
    return element("button", { class: "button button--small retry", type: "button", onclick: this.#onRetry },
      icon("retry"), "Retry");
  }
}

function waiting() {
  return element("span", { class: "waiting-dots", "aria-hidden": "true" },
    element("span"), element("span"), element("span"));
}

function outcome(state, error) {
  if (state === "stopped") return "You stopped this answer.";
  if (state === "interrupted") return `The answer was cut short. ${error?.detail ?? "The service restarted meanwhile."}`;
  return `The answer failed. ${error?.detail ?? "The service gave no reason."}`;
}
