// Follows one reply to its end, over as many connections as that takes, and hands its text on exactly once and in order.
// Positions count Unicode code points of the reply's text. Showing the text is left to the listener.

import * as api from "./api.js";
import { Backoff, BrokenStream, readEvents } from "./event-stream.js";

export class ReplyFollower {
  #listener;
  #aborting = new AbortController();
  #position = 0;
  #problem = null;
  #backoff = new Backoff();
  replyId = null;

  /** `listener` has `accepted({user_message, reply})`, `text(string)`, `cut()` and `ended(reply, problem)`. */
  constructor(listener) {
    this.#listener = listener;
  }

  /** True once the service has said that it stored the message. */
  get accepted() {
    return this.replyId !== null;
  }

  cancel() {
    this.#aborting.abort();
  }

  async send(conversationId, content) {
    await this.#followToEnd(await api.postMessage(conversationId, content, this.#signal));
  }

  async retry(replyId) {
    await this.#followToEnd(await api.retryReply(replyId, this.#signal));
  }

  /** Joins a running reply of which `reply.content` is already shown. */
  async resume(reply) {
    this.replyId = reply.id;
    this.#position = countCodePoints(reply.content);
    await this.#followToEnd(null);
  }

  get #signal() {
    return this.#aborting.signal;
  }

  async #followToEnd(response) {
    for (;;) {
      try {
        response ??= await api.replyEvents(this.replyId, this.#position, this.#signal);
        if (await this.#readToEnd(response)) return;
        if (!this.accepted) throw api.unreachable();
      } catch (error) {
        this.#signal.throwIfAborted();
        if (!this.accepted) throw error instanceof BrokenStream ? api.unreachable() : error;
        if (!(error instanceof BrokenStream) && !error.mayPass) throw error;
      }
      response = null;
      this.#listener.cut();
      await this.#backoff.wait(this.#signal);
    }
  }

  async #readToEnd(response) {
    for await (const { name, id, data } of readEvents(response)) {
      this.#signal.throwIfAborted();
      this.#backoff.reset();
      if (name === "reply") this.#accept(data);
      else if (name === "problem") this.#problem = data;
      else if (name === "delta" && !this.#take(data.text, Number(id))) return false;
      else if (name === "end") {
        this.#listener.ended(data.reply, this.#problem);
        return true;
      }
    }
    return false;
  }

  #accept(data) {
    this.replyId = data.reply.id;
    this.#position = countCodePoints(data.reply.content);
    this.#listener.accepted(data);
  }

  /** False when text before this delta is missing: the stream must be read again from the known position. */
  #take(text, position) {
    const points = Array.from(text);
    const known = this.#position - (position - points.length);
    if (known < 0) return false;
    if (known >= points.length) return true;
    this.#position = position;
    this.#listener.text(known === 0 ? text : points.slice(known).join(""));
    return true;
  }
}

function countCodePoints(text) {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}
