// One feedback as DOM: its state, the steps on the way there, and the result once it is written.

import { element, markLanguage } from "./elements.js";
import { timeElement } from "./times.js";

const HIGHEST_SCORE = 5;
const FINAL_STATES = new Set(["completed", "failed", "cancelled"]);

const HEADLINES = {
  pending: "Waiting to be sent",
  queued: "Waiting for the writer",
  completed: "Feedback",
  failed: "No feedback: it failed",
  cancelled: "Cancelled",
};

export function isFinal(feedback) {
  return FINAL_STATES.has(feedback.state);
}

/** What a screen reader says when the feedback reaches a state. */
export function spokenState({ state, result }) {
  if (state === "completed") return `Feedback is here: score ${result.score} of ${HIGHEST_SCORE}.`;
  return `${HEADLINES[state] ?? state}.`;
}

export class FeedbackCard {
  #state = null;
  #headline = element("span", { class: "feedback__headline" });
  #body = element("div", { class: "feedback__body" });
  #details;

  constructor(feedback) {
    this.#details = element("details", { open: true },
      element("summary", { class: "feedback__summary" }, this.#headline, timeElement(feedback.requested_at)),
      this.#body);
    this.node = element("li", { class: "feedback" }, this.#details);
    this.show(feedback);
  }

  fold() {
    this.#details.open = false;
  }

  /** A state that is shown already is not drawn again. */
  show(feedback) {
    if (feedback.state === this.#state) return false;
    this.#state = this.node.dataset.state = feedback.state;
    const score = feedback.result ? `: ${feedback.result.score} of ${HIGHEST_SCORE}` : "";
    this.#headline.textContent = (HEADLINES[feedback.state] ?? feedback.state) + score;
    this.#body.replaceChildren(...outcome(feedback), timeline(feedback), ...smallPrint(feedback));
    return true;
  }
}

function outcome({ state, result, error }) {
  if (state === "failed") {
    return [textElement("p", "problem", error?.detail ?? "The service gave no reason."),
      element("p", { class: "feedback__advice" }, "Press Get feedback to ask again.")];
  }
  if (!result) return [];
  return [
    scoreMarks(result.score),
    textElement("p", "feedback__text", result.summary),
    ...remarks("Strengths", result.strengths),
    ...remarks("To improve", result.improvements),
    ...criteria(result.criteria),
  ];
}

/** Older results have none. */
function criteria(found) {
  if (!found?.length) return [];
  return [element("h3", {}, "By criterion"), element("ul", {}, ...found.map(({ title, score, highest, reason, evidence }) =>
    element("li", {}, textElement("span", null, `${title}: ${score} of ${highest}. ${reason}`),
      ...evidence.map(({ quote }) => textElement("q", null, quote)))))];
}

function scoreMarks(score) {
  const marks = Array.from({ length: HIGHEST_SCORE }, (_, index) =>
    element("span", { class: index < score ? "mark mark--reached" : "mark" }));
  return element("div", { class: "score", role: "img", "aria-label": `Score: ${score} of ${HIGHEST_SCORE}` },
    element("span", { class: "score__number" }, String(score)),
    element("span", { class: "score__of" }, `of ${HIGHEST_SCORE}`),
    element("span", { class: "score__marks" }, ...marks));
}

function remarks(heading, lines) {
  if (!lines?.length) return [];
  return [element("h3", {}, heading), element("ul", {}, ...lines.map((line) => textElement("li", null, line)))];
}

function timeline({ state, requested_at: requestedAt, finished_at: finishedAt }) {
  const steps = [["Asked for", requestedAt, true]];
  if (state === "pending") steps.push(["Waiting to be sent", null, false]);
  else if (state === "queued") steps.push(["Sent to the writer", null, true], ["Waiting for the writer", null, false]);
  else steps.push([{ completed: "Written", failed: "Failed", cancelled: "Cancelled" }[state] ?? state, finishedAt, true]);
  return element("ol", { class: "timeline", "aria-label": "What happened so far" }, ...steps.map(([words, at, done]) =>
    element("li", { class: done ? "step step--done" : "step", "aria-current": done ? null : "step" },
      words, at && " ", at && timeElement(at))));
}

function smallPrint({ result }) {
  if (!result) return [];
  const { rubric, model } = result;
  return [element("p", { class: "small-print" }, `Written by ${model}, rubric ${rubric.id}, version ${rubric.version}`)];
}

function textElement(tag, className, text) {
  const node = element(tag, { class: className, dir: "auto" }, text);
  markLanguage(node, text);
  return node;
}
