// Draws the stacked bar of the card, its legend and the table of terms; knows nothing of forms or requests.

export const TERMS = [
  ["context", "CUDA context", "#7d8590"],
  ["weights", "Weights", "#3f7fd1"],
  ["lora_slots", "LoRA slots", "#8f63c9"],
  ["counters", "Sampler counters", "#b0699d"],
  ["non_torch", "Libraries", "#9a8358"],
  ["transient", "Activation peak", "#d9862b"],
  ["cuda_graphs", "CUDA graphs", "#c4a728"],
  ["kv_cache", "KV cache", "#2f9e77"],
];

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

const gib = (value) => `${value.toFixed(2)} GiB`;

// The cache of an engine that cannot start is drawn at the size one request needs.
function sizeOf(term, estimate) {
  if (term.name !== "kv_cache") return Math.max(0, term.gib);
  return estimate.starts ? Math.max(0, term.gib) : Math.max(term.gib, estimate.kv.needed_for_one_request_gib);
}

function segments(plan) {
  return plan.engines.flatMap((engine) =>
    TERMS.flatMap(([name, label, colour]) => {
      const term = engine.estimate.terms.find((one) => one.name === name);
      const size = term ? sizeOf(term, engine.estimate) : 0;
      return size > 0.004 ? [{ engine: engine.name, name, label, colour, size }] : [];
    }),
  );
}

export function drawBar(bar, legend, plan) {
  const parts = segments(plan);
  const used = parts.reduce((sum, part) => sum + part.size, 0);
  const scale = Math.max(plan.total_gib, used);
  const percent = (size) => `${(100 * size) / scale}%`;
  bar.replaceChildren(
    ...parts.map((part) => {
      const span = make("span", { title: `${part.engine}: ${part.label} ${gib(part.size)}` });
      span.style.width = percent(part.size);
      span.style.background = part.colour;
      return span;
    }),
  );
  if (used > plan.total_gib) {
    const over = make("span", { className: "over", title: `${gib(used - plan.total_gib)} more than the card has` });
    over.style.left = percent(plan.total_gib);
    const edge = make("span", { className: "edge" });
    edge.style.left = percent(plan.total_gib);
    bar.append(over, edge);
  }
  const list = parts.map((part) => `${part.engine} ${part.label} ${gib(part.size)}`).join(", ");
  bar.setAttribute("aria-label", `${gib(used)} of ${gib(plan.total_gib)}: ${list}`);
  const totals = TERMS.map(([name, label, colour]) => {
    const size = parts.filter((part) => part.name === name).reduce((sum, part) => sum + part.size, 0);
    return { label, colour, size };
  }).filter((one) => one.size > 0);
  legend.replaceChildren(
    ...totals.map((one) => {
      const mark = make("i");
      mark.style.background = one.colour;
      return make("li", {}, mark, `${one.label} ${gib(one.size)}`);
    }),
    make("li", { className: used > plan.total_gib ? "problem" : "" }, `${gib(Math.abs(plan.total_gib - used))} ${used > plan.total_gib ? "too much" : "free"}`),
  );
}

export function termTable(estimate) {
  const head = make("tr", {}, make("th", {}, "Term"), make("th", { className: "number" }, "GiB"),
    make("th", { className: "number" }, "between"), make("th", {}, "How"));
  const labels = new Map(TERMS.map(([name, label]) => [name, label]));
  const rows = estimate.terms.filter((term) => term.high_gib !== 0).map((term) =>
    make("tr", {},
      make("td", {}, labels.get(term.name) ?? term.name),
      make("td", { className: "number" }, term.gib.toFixed(2)),
      make("td", { className: "number" }, `${term.low_gib.toFixed(2)} to ${term.high_gib.toFixed(2)}`),
      make("td", { className: "formula", title: term.source }, term.formula)));
  return make("div", { className: "scroll" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)));
}
