// The planner's page: reads the form, asks POST /plan, shows the answer; one request at a time, the latest wins.
import { drawBar, make, termTable } from "./bar.js";

const byId = (id) => document.getElementById(id);
const START = [{ model: "Qwen/Qwen2.5-7B-Instruct" }];
let waiting = false;
let again = false;

function lengthOf(input) {
  return Math.round(2 ** Number(input.value) / 128) * 128;
}

function describe(engine) {
  const field = (name) => engine.querySelector(`[name=${name}]`);
  const show = (name, text) => { field(name).closest("label").querySelector("output").textContent = text; };
  const share = Number(field("share").value);
  show("max_model_len", `${lengthOf(field("max_model_len")).toLocaleString("en")} tokens`);
  show("max_num_seqs", field("max_num_seqs").value);
  show("share", share ? `${share} %` : "chosen by the plan");
  return {
    model: field("model").value.trim(),
    max_model_len: lengthOf(field("max_model_len")),
    max_num_seqs: Number(field("max_num_seqs").value),
    gpu_memory_utilization: share ? share / 100 : null,
    quantization: field("quantization").value || null,
    kv_cache_dtype: field("kv_cache_dtype").value,
    enforce_eager: field("enforce_eager").checked,
    max_loras: Number(field("max_loras").value) || null,
  };
}

function request() {
  const engines = [...byId("engines").children].map((engine, index) => {
    engine.querySelector("legend").textContent = `Engine ${index + 1}`;
    return { name: `engine ${index + 1}`, ...describe(engine) };
  });
  return { gpu: byId("gpu").value, profile: byId("profile").value, engines: engines.filter((one) => one.model) };
}

function verdict(text, kind) {
  byId("verdict").textContent = text;
  byId("verdict").className = kind;
}

function clear(text) {
  verdict(text, "bad");
  for (const id of ["bar", "legend", "cards", "suggestions"]) byId(id).replaceChildren();
}

function card(engine) {
  const { estimate } = engine;
  const kv = estimate.kv;
  const copy = make("button", { type: "button" }, "Copy the command");
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(engine.command);
    copy.textContent = "Copied";
  });
  const title = `${engine.name}: ${estimate.model}`;
  const summary = engine.starts
    ? `Holds ${kv.tokens.toLocaleString("en")} tokens, ${kv.concurrency} requests of full length at once. Starts ${engine.start_position === 1 ? "first" : `as number ${engine.start_position}`}, with ${engine.free_before_gib.toFixed(2)} GiB free.`
    : engine.reason;
  const speed = `At most ${Math.round(estimate.speed.decode_tokens_per_s_alone_at_most)} tokens/s for one request alone, ${Math.round(estimate.speed.decode_tokens_per_s_batch_at_most)} for ${estimate.speed.batch} together, ${Math.round(estimate.speed.prefill_tokens_per_s_at_most)} read (bounds from the data sheet).`;
  return make("article", {},
    make("h2", {}, title),
    make("p", { className: engine.starts ? "" : "problem" }, summary),
    ...(engine.starts ? [make("p", { className: "quiet" }, speed)] : []),
    termTable(estimate),
    make("pre", {}, engine.command),
    copy);
}

function show(plan) {
  const shares = plan.engines.map((one) => one.gpu_memory_utilization).join(" + ");
  if (plan.fits) verdict(`Fits: shares ${shares} of ${plan.total_gib} GiB.`, "good");
  else verdict(`Does not fit: ${plan.refusal}`, "bad");
  drawBar(byId("bar"), byId("legend"), plan);
  byId("cards").replaceChildren(...plan.engines.map(card));
  byId("suggestions").replaceChildren(...plan.suggestions.map((one) => make("li", {}, `Would fit with ${one.change}`)));
}

async function update() {
  if (waiting) { again = true; return; }
  waiting = true;
  const body = request();
  try {
    if (body.engines.length === 0) { clear("Name a model."); return; }
    const answer = await fetch("/plan", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    });
    const result = await answer.json();
    if (answer.ok) show(result); else clear(result.detail ?? "The planner did not answer.");
  } catch {
    clear("The planner cannot be reached.");
  } finally {
    waiting = false;
    if (again) { again = false; update(); }
  }
}

function addEngine({ model = "" } = {}) {
  const engine = byId("engine").content.firstElementChild.cloneNode(true);
  engine.querySelector("[name=model]").value = model;
  engine.querySelector("[name=remove]").addEventListener("click", () => { engine.remove(); update(); });
  byId("engines").append(engine);
}

async function start() {
  const [known, cards] = await Promise.all(
    ["/known-architectures", "/gpus"].map(async (path) => (await fetch(path)).json()));
  byId("models").replaceChildren(...Object.entries(known).filter(([, one]) => one.servable)
    .map(([name]) => make("option", { value: name })));
  byId("gpu").replaceChildren(...cards.gpus.map((one) =>
    make("option", { value: one.id, selected: one.id === "L4" }, `${one.id} (${one.cuda_total_gib} GiB)`)));
  START.forEach(addEngine);
  document.querySelector(".controls").addEventListener("input", update);
  byId("add").addEventListener("click", () => { addEngine({ model: "Qwen/Qwen2.5-3B-Instruct" }); update(); });
  await update();
}

start().catch(() => clear("The catalogue could not be loaded."));
