// The list of conversations, newest activity first, kept up to date in place so that focus and scroll position stay.

import * as api from "./api.js";
import { byId, element, icon, markLanguage, showText } from "./elements.js";
import { shortTime } from "./times.js";

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
  #openId = null;
  #askToDelete;

  constructor({ askToDelete }) {
    this.#askToDelete = askToDelete;
    this.#older.addEventListener("click", () => this.#load(this.#cursor));
  }

  find(id) {
    return this.#conversations.get(id);
  }

  async refresh() {
    await this.#load(null);
  }

  add(conversation) {
    this.#conversations.set(conversation.id, conversation);
    this.#render();
  }

  remove(id) {
    this.#conversations.delete(id);
    this.#render();
  }

  markOpen(id) {
    this.#openId = id;
    this.#render();
  }

  async #load(cursor) {
    try {
      const page = await api.listConversations(cursor);
      const isFirstLook = this.#conversations.size === 0;
      if (!cursor) this.#forgetMissing(page);
      for (const conversation of page.items) this.#conversations.set(conversation.id, conversation);
      if (cursor || isFirstLook) this.#cursor = page.next_cursor;
      showText(this.#problem, null);
      this.#render();
      this.#empty.hidden = this.#conversations.size > 0;
    } catch (problem) {
      showText(this.#problem, `The conversations could not be read. ${problem.detail ?? problem}`);
    }
  }

  /** Another tab may have deleted some: what ought to stand on this page and does not is gone. */
  #forgetMissing(page) {
    const present = new Set(page.items.map(({ id }) => id));
    const oldest = page.next_cursor ? page.items.at(-1)?.updated_at : "";
    for (const { id, updated_at: updatedAt } of this.#conversations.values()) {
      if (!present.has(id) && updatedAt > oldest) this.#conversations.delete(id);
    }
  }

  #render() {
    const ordered = [...this.#conversations.values()].sort((a, b) => (a.updated_at < b.updated_at ? 1 : -1));
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
    this.#empty.hidden = this.#empty.hidden || this.#conversations.size > 0;
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
