"""An estimate as terms with formulas and as JSON: the one form that command line, HTTP and page show."""

from __future__ import annotations

from typing import Any

from tandem_inference.planner.advice import Shares, shares, suggestions
from tandem_inference.planner.estimate import Estimate
from tandem_inference.planner.releases import Release
from tandem_inference.planner.speed import speed_bounds
from tandem_inference.planner.terms import Term
from tandem_inference.planner.units import GIB, Interval


def terms_of(answer: Estimate) -> tuple[Term, ...]:
    """Every term of the card's memory for this engine, in the order in which it is taken."""
    engine, parts = answer.engine, answer.parts
    rules, flags = engine.rules, engine.flags
    kv_formula = (
        "--kv-cache-memory-bytes as given"
        if flags.kv_cache_memory_bytes is not None
        else "ceil(total x gpu_memory_utilization) - consumed - transient"
        + (" - graph estimate" if parts.graphs_in_budget else "")
    )
    return (
        Term(
            "context",
            Interval.exact(answer.context),
            f"CUDA context of one process on the {engine.gpu.id}, outside the budget",
            engine.gpu.source,
            in_budget=False,
        ),
        Term(
            "weights",
            parts.weights,
            f"each fused tensor / tensor_parallel {flags.tensor_parallel}, rounded as the allocator does, "
            f"+ cos/sin tables; linear layers: {engine.scheme.source}",
            f"{engine.shape.source or 'config.json'}; c10 CUDACachingAllocator",
        ),
        Term(
            "lora_slots",
            parts.lora,
            f"{flags.max_loras} slots x rank {flags.max_lora_rank} x sum of (inputs + outputs) over fused linears",
            "vllm/lora/layers, create_lora_weights",
        ),
        Term(
            "counters",
            parts.counters,
            f"{engine.rows} rows x vocabulary {engine.shape.vocab} x {rules.penalty_bytes} B",
            "vllm/v1/worker/gpu/sample/penalties.py",
        ),
        Term(
            "non_torch",
            parts.non_torch,
            "CUDA libraries and communicators outside PyTorch, measured per engine generation",
            "published start-up logs, by vLLM version and card generation",
        ),
        Term(
            "transient",
            parts.transient,
            f"max(forward of {engine.tokens} tokens, sampler of {engine.rows} rows) + expert and image buffers",
            "vLLM's profile run; fitted on 41 logged runs of 0.19",
        ),
        Term(
            "cuda_graphs",
            parts.graphs,
            "(0.47 + 0.013 x layers) GiB per 102 graphs"
            + ("" if not flags.enforce_eager else ", 0 when eager"),
            "vllm/config/vllm.py capture sizes; fitted on 24 logged runs",
            in_budget=parts.graphs_in_budget,
        ),
        Term("kv_cache", answer.kv, kv_formula, "vllm/v1/worker/gpu_worker.py, determine_available_memory"),
    )


def _number(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)


def shares_json(found: Shares) -> dict[str, Any]:
    return {
        "least_gpu_memory_utilization": found.least_utilization,
        "recommended_gpu_memory_utilization": found.recommended_utilization,
        "least_kv_cache_memory_bytes": found.least_kv_bytes,
        "recommended_kv_cache_memory_bytes": found.recommended_kv_bytes,
    }


def notes_of(answer: Estimate) -> list[str]:
    """What a person should know beside the numbers."""
    engine = answer.engine
    notes = []
    if not engine.flags.enforce_eager and not engine.flags.cold_start and engine.rules.engine != "V0":
        notes.append(
            "a first start with an empty torch.compile cache leaves about 0.7 to 0.9 GiB less cache (cold_start)"
        )
    if engine.scheme.name.startswith("bitsandbytes") and engine.rules.release >= Release(28):
        notes.append(
            "bitsandbytes left vLLM's core in 0.28: install vllm-bnb-plugin, or use AWQ, GPTQ or fp8"
        )
    if engine.flags.cpu_offload_gib and not engine.rules.offloads_weights:
        notes.append("this release's model runner ignores cpu_offload_gb: the weights stay on the card")
    if not engine.gpu.context_measured:
        notes.append(f"the CUDA context of the {engine.gpu.id} is carried over from a card of its generation")
    return notes


def as_json(answer: Estimate, *, advise: bool = True) -> dict[str, Any]:
    """Everything the planner says about one engine. Sizes in GiB (2^30 bytes)."""
    engine, parts = answer.engine, answer.parts
    failing = next((gate for gate in answer.gates if not gate.passes), None)
    gate = failing or next((gate for gate in answer.gates if not gate.certain), None)
    return {
        "model": engine.shape.name,
        "gpu": engine.gpu.id,
        "vllm_version": str(engine.rules.release),
        "engine": engine.rules.engine,
        "unit": "GiB (2^30 bytes)",
        "starts": answer.starts,
        "certain": answer.certain,
        "gate": None
        if gate is None
        else {"name": gate.name, "verdict": gate.verdict, "message": gate.message},
        "settings": {
            "dtype": engine.dtype,
            "quantization": engine.scheme.name,
            "kv_cache_dtype": engine.kv_dtype,
            "max_model_len": answer.max_model_len,
            "max_num_seqs": engine.rows,
            "max_num_batched_tokens": engine.tokens,
            "gpu_memory_utilization": engine.utilization,
            "tensor_parallel": engine.flags.tensor_parallel,
            "enforce_eager": engine.flags.enforce_eager,
        },
        "card": {
            "total_gib": round(engine.gpu.total_gib, 3),
            "free_at_start_gib": _number(answer.free_at_start / GIB),
            "requested_gib": _number(answer.requested / GIB),
            "resident_gib": _number(answer.resident.likely / GIB),
            "resident_high_gib": _number(answer.resident.high / GIB),
        },
        "terms": [term.as_json() for term in terms_of(answer)],
        "kv": {
            "available_gib": _number(answer.kv.likely / GIB),
            "low_gib": _number(answer.kv.low / GIB),
            "high_gib": _number(answer.kv.high / GIB),
            "needed_for_one_request_gib": _number(answer.needed / GIB),
            "bytes_per_token": parts.layout.token_bytes,
            "block_tokens": parts.layout.block_tokens,
            "bytes_per_block": parts.layout.bytes_per_block,
            "groups": parts.layout.groups,
            "blocks": answer.capacity.blocks,
            "tokens": answer.capacity.tokens,
            "concurrency": _number(answer.capacity.concurrency, 2),
        },
        "shares": shares_json(shares(answer)),
        "suggestions": [one.as_json() for one in suggestions(answer)] if advise and not answer.starts else [],
        "speed": speed_bounds(answer).as_json(),
        "assumptions": list(engine.shape.assumptions),
        "notes": notes_of(answer),
    }
