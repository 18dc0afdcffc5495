// The list of conversations, newest activity first, kept up to date in place so that focus and scroll position stay.

import * as api from "./api.js";
import { byId, element, icon, markLanguage, showText } from "./elements.js";
import { newestFirst, shortTime } from "./times.js";

const UNTITLED = "New conversation";

export function titleOf(conversation) {
  return conversation.title?.trim() || UNTITLED;
}

export class ConversationList {
  #list = byId("conversations");
  #empty = byId("no-conversations");
  #older = byId("show-older");
  #problem = byId("conversations-problem");
  #conversations = new Map();
  #nodes = new Map();
  #cursor = null;
  #hasLooked = false;
  #turn = 0;
  #openId = null;
  #askToDelete;

  constructor({ askToDelete }) {
    this.#askToDelete = askToDelete;
    this.#older.addEventListener("click", () => this.#showOlder());
  }

  find(id) {
    return this.#conversations.get(id);
  }

  /** An answer that was overtaken, by a later look or by a change made here, is not used. */
  async refresh() {
    const turn = ++this.#turn;
    const page = await this.#read(null);
    if (!page || turn !== this.#turn) return;
    this.#forgetMissing(page);
    if (!this.#hasLooked) this.#cursor = page.next_cursor;
    this.#hasLooked = true;
    this.#take(page);
  }

  add(conversation) {
    this.#turn += 1;
    this.#conversations.set(conversation.id, conversation);
    this.#render();
  }

  remove(id) {
    this.#turn += 1;
    this.#conversations.delete(id);
    this.#render();
  }

  markOpen(id) {
    this.#openId = id;
    this.#render();
  }

  async #showOlder() {
    const page = await this.#read(this.#cursor);
    if (!page) return;
    this.#cursor = page.next_cursor;
    this.#take(page);
  }

  /** Null when it could not be read, which is then said. */
  async #read(cursor) {
    try {
      const page = await api.listConversations(cursor);
      showText(this.#problem, null);
      return page;
    } catch (problem) {
      showText(this.#problem, `The conversations could not be read. ${problem.detail ?? problem}`);
      return null;
    }
  }

  #take(page) {
    for (const conversation of page.items) this.#conversations.set(conversation.id, conversation);
    this.#render();
  }

  /** Another tab may have deleted some: what ought to stand on this page and does not is gone. */
  #forgetMissing(page) {
    const present = new Set(page.items.map(({ id }) => id));
    const oldest = page.next_cursor && page.items.at(-1).updated_at;
    for (const { id, updated_at: updatedAt } of this.#conversations.values()) {
      if (!present.has(id) && (!oldest || newestFirst(updatedAt, oldest) < 0)) this.#conversations.delete(id);
    }
  }

  #render() {
    const ordered = [...this.#conversations.values()].sort((a, b) => newestFirst(a.updated_at, b.updated_at));
    for (const [id, node] of this.#nodes) {
      if (!this.#conversations.has(id)) {
        node.remove();
        this.#nodes.delete(id);
      }
    }
    const focused = document.activeElement;
    ordered.forEach((conversation, index) => {
      const node = this.#nodeOf(conversation);
      if (this.#list.children[index] !== node) this.#list.insertBefore(node, this.#list.children[index] ?? null);
    });
    if (this.#list.contains(focused) && focused !== document.activeElement) focused.focus({ preventScroll: true });
    this.#empty.hidden = !this.#hasLooked || this.#conversations.size > 0;
    this.#older.hidden = !this.#cursor;
  }

  #nodeOf(conversation) {
    const { id } = conversation;
    if (!this.#nodes.has(id)) this.#nodes.set(id, this.#newNode(id));
    const node = this.#nodes.get(id);
    const [link, button] = node.children;
    const title = titleOf(conversation);
    const [titleNode, timeNode] = link.children;
    if (titleNode.textContent !== title) {
      titleNode.textContent = title;
      markLanguage(titleNode, title);
      button.setAttribute("aria-label", `Delete conversation: ${title}`);
    }
    timeNode.textContent = shortTime(conversation.updated_at);
    if (id === this.#openId) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    return node;
  }

  #newNode(id) {
    return element("li", { class: "conversation-item" },
      element("a", { class: "conversation-link", href: `#/conversations/${encodeURIComponent(id)}` },
        element("span", { class: "conversation-link__title", dir: "auto" }),
        element("span", { class: "conversation-link__time" })),
      element("button", {
        class: "button button--icon conversation-item__delete",
        type: "button",
        onclick: () => this.#askToDelete(this.#conversations.get(id)),
      }, icon("bin")));
  }
}
