// On a narrow screen the conversation list is a drawer: opens it, closes it, and keeps the keyboard where the eyes are.

import { byId } from "./elements.js";

const narrow = window.matchMedia("(max-width: 47.99rem)");

export class Sidebar {
  #sidebar = byId("sidebar");
  #stage = byId("stage");
  #button = byId("menu-button");
  #isOpen = false;

  constructor() {
    this.#button.addEventListener("click", () => this.#set(!this.#isOpen));
    byId("curtain").addEventListener("click", () => this.close());
    this.#sidebar.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
    this.#sidebar.addEventListener("click", (event) => event.target.closest("a") && this.close());
    narrow.addEventListener("change", () => this.#set(false));
    this.#set(false);
  }

  close() {
    if (!this.#isOpen) return;
    this.#set(false);
    this.#button.focus();
  }

  #set(isOpen) {
    this.#isOpen = isOpen && narrow.matches;
    document.body.classList.toggle("with-drawer", this.#isOpen);
    this.#button.setAttribute("aria-expanded", String(this.#isOpen));
    this.#sidebar.inert = narrow.matches && !this.#isOpen;
    this.#stage.inert = this.#isOpen;
    if (this.#isOpen) byId("new-conversation").focus();
  }
}
