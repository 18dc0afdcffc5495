// One conversation while it is open: loads it, sends to it, follows its running reply. Once closed it changes nothing in the
// thread any more, so what belongs to one conversation cannot show up in another.

import * as api from "./api.js";
import { explainProblem } from "./explain-problem.js";
import { isUnfinished } from "./message-view.js";
import { ReplyFollower } from "./reply-follower.js";

const SPOKEN = {
  completed: "The answer is complete.",
  stopped: "The answer was stopped.",
  interrupted: "The answer was cut short.",
  failed: "The answer failed.",
};

export class ConversationSession {
  #page;
  #known = new Map();
  #follower = null;
  #replyView = null;
  #answered = false;
  #loading = new AbortController();
  #closed = false;

  /**
   * `page` has the parts `thread`, `composer` and `readiness`, and is told of things by `announce(text)`, `created(conversation)`,
   * `loaded(conversation)`, `changed()`, `missing(problem)`, `progress(word)` and `storedUnseen(id, text)`.
   */
  constructor(id, page) {
    this.id = id;
    this.#page = page;
  }

  async open() {
    if (this.id === null) return this.#showNew();
    try {
      const conversation = await api.readConversation(this.id, this.#loading.signal);
      if (!this.#closed) this.#show(conversation);
    } catch (problem) {
      if (!this.#closed) this.#page.missing(problem);
    }
  }

  /** Shows what another tab, or the service, has done meanwhile. */
  async refresh() {
    if (this.id === null || this.#follower) return;
    try {
      const conversation = await api.readConversation(this.id, this.#loading.signal);
      if (this.#closed || this.#follower || this.#shows(conversation.messages)) return;
      this.#show(conversation);
    } catch (problem) {
      if (!this.#closed && problem.status === 404) this.#page.missing(problem);
    }
  }

  close() {
    this.#closed = true;
    this.#loading.abort();
    // A message on its way is not cut off: whether it was accepted must be known, or its text could get lost.
    if (this.#follower?.accepted) this.#follower.cancel();
  }

  async send(text) {
    this.#page.composer.setState("sending");
    const question = this.#page.thread.addQuestion(text);
    const follower = this.#newFollower({ text, question });
    const problem = await this.#run(follower, async () => {
      await this.#makeSureItExists();
      await follower.send(this.id, text);
    });
    if (problem && !follower.accepted) await this.#takeBack(text, question, problem);
    else if (problem) await this.#lostTrack(problem);
  }

  async stop() {
    if (!this.#follower?.accepted) return;
    this.#page.composer.setState("stopping");
    try {
      await api.stopReply(this.#follower.replyId);
    } catch (problem) {
      if (this.#closed || !this.#follower) return;
      this.#page.composer.setState("answering");
      this.#page.composer.showProblem(`The answer could not be stopped. ${problem.detail}`);
    }
  }

  async retry(replyId) {
    if (this.#follower) return;
    this.#page.composer.setState("sending");
    const follower = this.#newFollower();
    const problem = await this.#run(follower, () => follower.retry(replyId));
    if (problem) await this.#lostTrack(problem);
  }

  async #join(reply) {
    this.#page.composer.setState("answering");
    const follower = this.#newFollower();
    const problem = await this.#run(follower, () => follower.resume(reply));
    if (problem) await this.#lostTrack(problem);
  }

  /** Returns the problem that ended it early, if any. */
  async #run(follower, start) {
    try {
      await start();
      return null;
    } catch (error) {
      if (!(error instanceof api.ChatProblem) && !this.#closed) throw error;
      return error;
    } finally {
      this.#follower = null;
      if (!this.#closed) this.#page.composer.setState("idle");
    }
  }

  #newFollower({ text, question } = {}) {
    const whileOpen = (react) => (...facts) => this.#closed || react(...facts);
    this.#follower = new ReplyFollower({
      accepted: (facts) => {
        if (this.#closed) return this.#acceptUnseen(text);
        question?.confirm();
        this.#accept(facts);
      },
      text: whileOpen((more) => this.#replyView.append(more)),
      cut: whileOpen(() => this.#replyView?.showCut()),
      ended: whileOpen((reply, problem) => this.#end(reply, problem)),
    });
    return this.#follower;
  }

  #accept({ user_message: asked, reply }) {
    if (asked) this.#remember(asked);
    this.#remember(reply);
    if (this.#replyView?.id === reply.id) this.#replyView.show(reply);
    else this.#replyView = this.#page.thread.addReply(reply, (replyId) => this.retry(replyId));
    this.#page.composer.accept();
    this.#page.composer.setState("answering");
    this.#page.progress("answering");
    this.#page.changed();
  }

  #acceptUnseen(text) {
    this.#follower.cancel();
    if (text) this.#page.storedUnseen(this.id, text);
  }

  #end(reply, problem) {
    this.#remember(reply);
    this.#replyView.show(reply, problem);
    this.#page.announce(SPOKEN[reply.state] ?? "");
    this.#answered ||= Boolean(reply.content);
    this.#page.progress(this.#answered ? "answered" : "empty");
    if (problem) this.#page.readiness.check();
    this.#page.changed();
  }

  async #makeSureItExists() {
    if (this.id !== null) return;
    const conversation = await api.createConversation();
    this.id = conversation.id;
    if (!this.#closed) this.#page.created(conversation);
  }

  /** The service did not say that it has the message. Where it has it all the same, the reply is joined instead. */
  async #takeBack(text, question, problem) {
    const { thread, composer, readiness } = this.#page;
    if (this.#closed) return composer.giveBack(this.id ?? "new", text);
    const stored = problem.status === 0 ? await this.#findStored(text) : null;
    if (this.#closed) return;
    if (stored) {
      composer.accept();
      return this.#show(stored);
    }
    thread.remove(question);
    if (thread.isEmpty) this.#showNew();
    composer.giveBack(this.id ?? "new", text);
    composer.showProblem(`${explainProblem(problem)} Your text is kept.`);
    if (problem.status === 0 || problem.status === 503) readiness.check();
    if (problem.code === "reply_in_progress") await this.refresh();
  }

  async #findStored(text) {
    if (this.id === null) return null;
    const conversation = await api.readConversation(this.id, this.#loading.signal).catch(() => null);
    const asked = conversation?.messages.findLast((message) => message.role === "user");
    return asked?.content === text && !this.#known.has(asked.id) ? conversation : null;
  }

  async #lostTrack(problem) {
    if (this.#closed) return;
    this.#page.composer.showProblem(explainProblem(problem));
    if (problem.status === 0 || problem.status === 503) this.#page.readiness.check();
    await this.refresh();
  }

  #showNew() {
    this.#page.thread.showEmpty("What would you like to know?",
      "Ask the model below. When the answer is there, press Get feedback to have the conversation reviewed.");
  }

  #show(conversation) {
    const { messages } = conversation;
    this.#known.clear();
    messages.forEach((message) => this.#remember(message));
    this.#replyView = this.#page.thread.show(messages, (replyId) => this.retry(replyId));
    if (messages.length === 0) this.#showNew();
    this.#page.loaded(conversation);
    const asked = messages.findLast((message) => message.role === "user");
    if (asked) this.#page.composer.forget(this.id, asked.content);
    const last = messages.at(-1);
    const unfinished = last !== undefined && isUnfinished(last);
    this.#answered = messages.some(({ role, content }) => role === "assistant" && content);
    this.#page.progress(unfinished ? "answering" : this.#answered ? "answered" : "empty");
    if (unfinished) this.#join(last);
  }

  #remember({ id, state, content }) {
    this.#known.set(id, `${state} ${content}`);
  }

  #shows(messages) {
    return messages.length === this.#known.size
      && messages.every(({ id, state, content }) => this.#known.get(id) === `${state} ${content}`);
  }
}
