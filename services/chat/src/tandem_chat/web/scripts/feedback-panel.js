// The feedback of the open conversation: asks for it, lists it newest first, and follows what is still on its way. One event
// stream at a time is enough, for the writer takes requests in order; browsers allow only six connections to one server.

import * as api from "./api.js";
import { byId, showText } from "./elements.js";
import { Backoff, BrokenStream, readEvents } from "./event-stream.js";
import { FeedbackCard, isFinal, spokenState } from "./feedback-card.js";
import { newestFirst } from "./times.js";

const HINTS = {
  empty: "Nothing to review yet. Ask the model something first.",
  answering: "Once the answer is finished, Get feedback has the conversation reviewed.",
  answered: "Press Get feedback: this conversation is then reviewed with a score, its strengths and what to improve.",
};

export class FeedbackPanel {
  #panel = byId("feedback-panel");
  #button = byId("get-feedback");
  #hint = byId("feedback-hint");
  #problem = byId("feedback-problem");
  #list = byId("feedbacks");
  #announce;
  #conversationId = null;
  #progress = "empty";
  #asking = false;
  #cards = new Map();
  #latest = new Map();
  #open = new AbortController();
  #connection = new AbortController();
  #following = false;

  constructor({ announce }) {
    this.#announce = announce;
    this.#button.addEventListener("click", () => this.#request());
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#pause() : this.#follow()));
  }

  /** `null` is the conversation that does not exist yet. */
  async open(conversationId) {
    this.#open.abort();
    const open = this.#open = new AbortController();
    this.#conversationId = conversationId;
    this.#progress = "empty";
    this.#asking = this.#following = false;
    this.#cards.clear();
    this.#latest.clear();
    this.#list.replaceChildren();
    showText(this.#problem, null);
    this.#update();
    if (conversationId !== null) await this.#load(open.signal);
  }

  /** Keeps what is shown: the conversation that was new has got its id. */
  adopt(conversationId) {
    this.#conversationId = conversationId;
  }

  /** How far the conversation is: "empty", "answering" or "answered". Only the last can be reviewed. */
  setProgress(progress) {
    this.#progress = progress;
    this.#update();
  }

  async #load(signal) {
    try {
      const { items } = await api.listFeedback(this.#conversationId, signal);
      if (signal.aborted) return;
      items.forEach((feedback) => this.#latest.set(feedback.id, feedback));
      this.#draw();
      this.#newest().slice(1).forEach(({ id, state }) => isFinal({ state }) && this.#cards.get(id).fold());
      this.#follow();
    } catch (problem) {
      if (!signal.aborted && problem.status !== 404) {
        showText(this.#problem, `The feedback could not be read. ${problem.detail ?? problem}`);
      }
    }
  }

  async #request() {
    if (this.#asking) return;
    const { signal } = this.#open;
    this.#asking = true;
    this.#update();
    showText(this.#problem, null);
    try {
      const feedback = await api.requestFeedback(this.#conversationId);
      if (signal.aborted) return;
      for (const card of this.#cards.values()) card.fold();
      this.#take(feedback);
      this.#reveal();
      this.#follow();
    } catch (problem) {
      if (!signal.aborted) showText(this.#problem, `Feedback could not be asked for. ${problem.detail ?? problem}`);
      this.#reveal();
    } finally {
      if (!signal.aborted) {
        this.#asking = false;
        this.#update();
      }
    }
  }

  /** On a narrow screen the panel lies below the conversation: bring it into sight. */
  #reveal() {
    this.#panel.scrollIntoView({ block: "nearest" });
  }

  #take(feedback) {
    const isNews = this.#latest.get(feedback.id)?.state !== feedback.state;
    this.#latest.set(feedback.id, feedback);
    this.#draw();
    if (isNews) this.#announce(spokenState(feedback));
  }

  #draw() {
    this.#newest().forEach((feedback, index) => {
      if (!this.#cards.has(feedback.id)) this.#cards.set(feedback.id, new FeedbackCard(feedback));
      const card = this.#cards.get(feedback.id);
      card.show(feedback);
      if (this.#list.children[index] !== card.node) this.#list.insertBefore(card.node, this.#list.children[index] ?? null);
    });
    this.#update();
  }

  #newest() {
    return [...this.#latest.values()].sort((a, b) => newestFirst(a.requested_at, b.requested_at));
  }

  #update() {
    const { activeElement } = document;
    this.#button.disabled = this.#progress !== "answered";
    // Disabling it while the request is on its way would drop the keyboard's focus.
    this.#button.setAttribute("aria-disabled", String(this.#asking));
    if (activeElement === this.#button && this.#button.disabled) byId("message").focus();
    showText(this.#hint, this.#latest.size > 0 ? null : HINTS[this.#progress]);
  }

  /** A tab nobody looks at leaves its connection to the others. */
  #pause() {
    this.#connection.abort();
    this.#connection = new AbortController();
  }

  async #follow() {
    if (this.#following || document.hidden) return;
    this.#following = true;
    const { signal } = this.#open;
    const backoff = new Backoff();
    try {
      for (let next = this.#oldestUnfinished(); next && !document.hidden; next = this.#oldestUnfinished()) {
        const moved = await this.#followOne(next, signal).catch((error) => this.#excuse(error, next, signal));
        if (moved) backoff.reset();
        else await backoff.wait(signal);
      }
      this.#following = false;
    } catch (error) {
      if (!signal.aborted) throw error; // After an abort the next conversation has its own following.
    }
  }

  #oldestUnfinished() {
    return this.#newest().findLast((feedback) => !isFinal(feedback));
  }

  /** What may pass, or was cut off on purpose, is tried again; a feedback that was deleted is dropped. */
  #excuse(error, feedback, signal) {
    signal.throwIfAborted();
    if (error.status === 404) this.#drop(feedback.id);
    else if (!(error instanceof BrokenStream) && !error.mayPass && error.name !== "AbortError") throw error;
    return false;
  }

  #drop(id) {
    this.#latest.delete(id);
    this.#cards.get(id)?.node.remove();
    this.#cards.delete(id);
    this.#update();
  }

  /** True when its state changed. */
  async #followOne(feedback, signal) {
    const before = feedback.state;
    const connection = AbortSignal.any([signal, this.#connection.signal]);
    for await (const { name, data } of readEvents(await api.feedbackEvents(feedback.id, connection))) {
      signal.throwIfAborted();
      if (name !== "feedback") continue;
      this.#take(data);
      if (this.#latest.size > 1) await this.#readOthers(signal);
    }
    return this.#latest.get(feedback.id).state !== before;
  }

  async #readOthers(signal) {
    const { items } = await api.listFeedback(this.#conversationId, signal);
    signal.throwIfAborted();
    items.forEach((other) => this.#take(other));
  }
}
