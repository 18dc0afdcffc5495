// Asks before a conversation is deleted, and deletes it.

import * as api from "./api.js";
import { byId, showText } from "./elements.js";
import { titleOf } from "./conversation-list.js";

export class DeleteDialog {
  #dialog = byId("delete-dialog");
  #what = byId("delete-what");
  #confirm = byId("delete-confirm");
  #problem = byId("delete-problem");
  #conversation = null;
  #onDeleted;

  constructor({ onDeleted }) {
    this.#onDeleted = onDeleted;
    this.#confirm.addEventListener("click", () => this.#delete());
  }

  ask(conversation) {
    this.#conversation = conversation;
    this.#what.textContent = `“${titleOf(conversation)}” and its feedback will be gone for good.`;
    showText(this.#problem, null);
    this.#dialog.showModal();
    byId("delete-cancel").focus();
  }

  async #delete() {
    this.#confirm.disabled = true;
    try {
      await api.deleteConversation(this.#conversation.id);
      this.#close();
    } catch (problem) {
      if (problem.status === 404) this.#close(); // Another tab was faster.
      else showText(this.#problem, `It was not deleted. ${problem.detail}`);
    } finally {
      this.#confirm.disabled = false;
    }
  }

  #close() {
    this.#dialog.close();
    this.#onDeleted(this.#conversation.id);
  }
}
