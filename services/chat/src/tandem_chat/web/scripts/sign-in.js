// Asks for a key where the chat service wants one, and keeps it for this tab only: it is never part of an address, and is
// forgotten when the tab is closed.

import { listConversations } from "./api.js";
import { byId, showText } from "./elements.js";
import { forgetToken, hasToken, keepToken } from "./token.js";

export class SignIn {
  #dialog = byId("sign-in-dialog");
  #key = byId("sign-in-key");
  #submit = byId("sign-in-submit");
  #problem = byId("sign-in-problem");
  #signOut = byId("sign-out");

  #onSignedIn;

  /** `onSignedIn` is told when the page may try again what it could not without a key. */
  constructor({ onSignedIn }) {
    this.#onSignedIn = onSignedIn;
    this.#signOut.hidden = !hasToken();
    this.#signOut.addEventListener("click", () => {
      forgetToken();
      location.reload();
    });
    byId("sign-in-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#try(this.#key.value.trim());
    });
    // Nothing works without a key: Escape would leave a page that only shows errors.
    this.#dialog.addEventListener("cancel", (event) => event.preventDefault());
    document.addEventListener("sign-in-needed", (event) => this.#ask(event.detail));
  }

  #ask(detail) {
    if (this.#dialog.open) return;
    showText(this.#problem, hasToken() ? detail : null);
    this.#dialog.showModal();
    this.#key.focus();
  }

  async #try(key) {
    this.#submit.disabled = true;
    keepToken(key);
    try {
      await listConversations();
      this.#key.value = "";
      this.#signOut.hidden = false;
      this.#dialog.close();
      this.#onSignedIn();
    } catch (problem) {
      forgetToken();
      showText(this.#problem, problem.detail ?? String(problem));
      this.#key.select();
    } finally {
      this.#submit.disabled = false;
    }
  }
}
