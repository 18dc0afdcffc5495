// Watches whether the model can answer, and says so in a banner while it cannot. It asks again by itself until it can.

import { checkReady } from "./api.js";
import { byId, element } from "./elements.js";

const USUAL_WAIT_S = 2;
const LONGEST_WAIT_S = 15;

export class ReadinessBanner {
  #banner = byId("banner");
  #timer = null;
  #asking = false;
  #onReady;

  /** `onReady` is told when the model has become able to answer after it was not. */
  constructor({ onReady }) {
    this.#onReady = onReady;
  }

  async check() {
    if (this.#asking) return;
    this.#asking = true;
    clearTimeout(this.#timer);
    try {
      await checkReady();
      this.#show(null);
    } catch (problem) {
      this.#show(problem);
      const wait = Math.min(Math.max(problem.retryAfterSeconds ?? USUAL_WAIT_S, 1), LONGEST_WAIT_S);
      this.#timer = setTimeout(() => this.check(), wait * 1000);
    } finally {
      this.#asking = false;
    }
  }

  #show(problem) {
    const [heading, detail] = words(problem);
    if (this.#banner.textContent === heading + detail) return; // The same words again would be read out again.
    this.#banner.replaceChildren();
    if (problem) this.#banner.append(element("strong", {}, heading), element("span", {}, detail));
    else this.#onReady();
  }
}

function words(problem) {
  if (!problem) return ["", ""];
  if (problem.code === "unreachable") {
    return ["The server cannot be reached.", "Trying again by itself; what you typed stays here."];
  }
  if (problem.code === "engine_not_ready") return ["The model is starting…", problem.detail];
  return ["The model cannot answer just now.", problem.detail];
}
