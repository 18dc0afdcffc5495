// The message box with its Send and Stop buttons. It never lets go of a text before the service has accepted it.

import { byId, showText } from "./elements.js";
import { keepDraft, readDraft } from "./drafts.js";

const TALLEST_PX = 220;

export class Composer {
  #form = byId("composer");
  #box = byId("message");
  #send = byId("send");
  #stop = byId("stop");
  #problem = byId("composer-problem");
  #onSend;
  #draftKey = "new";
  #state = "idle";
  #underway = "";

  constructor({ onSend, onStop }) {
    this.#onSend = onSend;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#box.addEventListener("keydown", (event) => this.#noticeKey(event));
    this.#box.addEventListener("input", () => this.#noticeInput());
    this.#stop.addEventListener("click", () => {
      this.focus();
      onStop();
    });
  }

  /** Shows the draft of another conversation. */
  open(draftKey) {
    this.#draftKey = draftKey;
    this.#underway = "";
    this.#setText(readDraft(draftKey));
    this.setState("idle");
  }

  /** The new conversation got its own id: what is typed from here on belongs to that one. */
  rename(draftKey) {
    keepDraft(this.#draftKey, "");
    this.#draftKey = draftKey;
    this.#keep();
  }

  /** The service has stored the text sent last. */
  accept() {
    this.#underway = "";
    this.#keep();
  }

  /** Drops a draft that turns out to have been stored by the service already. */
  forget(draftKey, text) {
    if (readDraft(draftKey) === text) keepDraft(draftKey, "");
    if (draftKey === this.#draftKey && this.#box.value === text) this.#setText("");
  }

  /** "idle" may send; "sending" waits for acceptance; "answering" may stop; "stopping" waits for the end. */
  setState(state) {
    this.#state = state;
    const answering = state === "answering" || state === "stopping";
    const hadFocus = [this.#send, this.#stop].includes(document.activeElement);
    this.#send.hidden = answering;
    this.#send.disabled = state === "sending";
    this.#stop.hidden = !answering;
    this.#stop.disabled = state === "stopping";
    this.#form.dataset.state = state;
    if (state === "idle") this.showProblem(null);
    if (hadFocus) this.focus();
  }

  /** Puts a text that was not accepted back, before whatever was typed since. */
  giveBack(draftKey, text) {
    if (draftKey !== this.#draftKey) return keepDraft(draftKey, joined(text, readDraft(draftKey)));
    this.#underway = "";
    this.#setText(joined(text, this.#box.value));
    this.#noticeInput();
  }

  showProblem(text) {
    showText(this.#problem, text);
    this.#box.setAttribute("aria-invalid", String(Boolean(text)));
  }

  focus() {
    this.#box.focus({ preventScroll: true });
  }

  #noticeKey(event) {
    // While an input method composes (Korean, Japanese, Chinese), Enter belongs to it. 229 is how Safari says so.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    this.#submit();
  }

  #submit() {
    const text = this.#box.value.trim();
    if (this.#state !== "idle") {
      this.showProblem("Wait until the answer is finished, or stop it. Your text stays here.");
    } else if (text) {
      this.#underway = text;
      this.#setText("");
      this.showProblem(null);
      this.#onSend(text);
    }
    this.focus();
  }

  #noticeInput() {
    this.#keep();
    if (this.#state === "idle") this.showProblem(null);
    this.#fit();
  }

  #keep() {
    keepDraft(this.#draftKey, joined(this.#underway, this.#box.value));
  }

  #setText(text) {
    this.#box.value = text;
    this.#fit();
  }

  #fit() {
    this.#box.style.height = "auto";
    this.#box.style.height = `${Math.min(this.#box.scrollHeight, TALLEST_PX)}px`;
  }
}

function joined(first, second) {
  if (second.startsWith(first)) return second;
  return [first, second].filter(Boolean).join("\n");
}
