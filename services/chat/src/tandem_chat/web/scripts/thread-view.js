// The open conversation's messages, and the reader's place in them: the end stays in sight while it grows, unless the reader
// has scrolled away from it.

import { byId, element } from "./elements.js";
import { QuestionView, ReplyView } from "./message-view.js";

const NEAR_END_PX = 64;

export class ThreadView {
  #messages = byId("messages");
  #empty = byId("thread-empty");
  #columns = byId("columns");
  #conversation = byId("conversation");
  #dock = byId("composer-dock");
  #end = byId("thread-end");
  #jump = byId("jump-to-latest");
  #following = true;
  #lastTop = 0;

  constructor() {
    for (const scroller of [this.#columns, this.#conversation]) {
      scroller.addEventListener("scroll", () => this.#noticeScroll(scroller.scrollTop), { passive: true });
    }
    this.#jump.addEventListener("click", () => this.goToEnd());
    const growth = new ResizeObserver(() => this.#keepPlace());
    for (const node of [this.#messages, this.#dock, this.#columns]) growth.observe(node);
  }

  get isEmpty() {
    return this.#messages.childElementCount === 0;
  }

  clear() {
    this.#messages.replaceChildren();
    this.#empty.hidden = true;
    this.#following = true;
  }

  showEmpty(heading, ...lines) {
    this.clear();
    this.#empty.replaceChildren(element("h2", {}, heading), ...lines.map((line) => element("p", {}, line)));
    this.#empty.hidden = false;
  }

  /** Returns the view of the last message. */
  show(messages, onRetry) {
    this.clear();
    const views = messages.map((message) => message.role === "user"
      ? new QuestionView(message.content)
      : new ReplyView(message, { onRetry: () => onRetry(message.id) }));
    this.#messages.append(...views.map((view) => view.node));
    this.goToEnd();
    return views.at(-1) ?? null;
  }

  addQuestion(content) {
    const view = new QuestionView(content, { sending: true });
    this.#add(view);
    return view;
  }

  addReply(reply, onRetry) {
    const view = new ReplyView(reply, { onRetry: () => onRetry(reply.id) });
    this.#add(view);
    return view;
  }

  remove(view) {
    view.node.remove();
  }

  goToEnd() {
    this.#following = true;
    this.#keepPlace();
  }

  #add(view) {
    this.#empty.hidden = true;
    this.#messages.append(view.node);
    this.goToEnd();
  }

  /** How far the end lies below the composer's upper edge; negative when there is room between them. */
  #gap() {
    return this.#end.getBoundingClientRect().bottom - this.#dock.getBoundingClientRect().top;
  }

  /** Only going up leaves the end: it may also have moved away by growing since the page itself scrolled. */
  #noticeScroll(top) {
    const isNearEnd = this.#gap() < NEAR_END_PX;
    if (isNearEnd) this.#following = true;
    else if (top < this.#lastTop) this.#following = false;
    this.#lastTop = top;
    this.#jump.hidden = this.#following;
  }

  #keepPlace() {
    const gap = this.#gap();
    if (this.#following && gap > 0) {
      // Which of the two scrolls depends on the width; the other ignores it.
      this.#conversation.scrollBy({ top: gap, behavior: "instant" });
      this.#columns.scrollBy({ top: gap, behavior: "instant" });
    }
    this.#jump.hidden = this.#following || this.#gap() < NEAR_END_PX;
  }
}
