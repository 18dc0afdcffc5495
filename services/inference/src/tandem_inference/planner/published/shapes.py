"""The shape a published-API request means: catalogued, overridden by `architecture`, or made up from a size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tandem_inference.planner.errors import ClosedModelError, InvalidValueError, UnknownModelError
from tandem_inference.planner.published.guessing import billions_in_name, guess_shape, size_in_billions
from tandem_inference.planner.published.request import Architecture, MemoryRequest
from tandem_inference.planner.shape.model import Attention, ModelShape

Load = Callable[[str], ModelShape]


def _main_attention(shape: ModelShape) -> Attention:
    return max(shape.blocks, key=lambda block: block.count).attention


def architecture_of(shape: ModelShape) -> dict[str, int]:
    """The dimensions as the published API names them, and those it forgot."""
    attention = _main_attention(shape)
    return {
        "num_layers": shape.layers,
        "hidden_size": shape.hidden,
        "num_heads": attention.heads,
        "head_dim": attention.head_dim,
        "intermediate_size": shape.intermediate,
        "num_key_value_heads": attention.kv_heads,
        "vocab_size": shape.vocab,
    }


def _given(architecture: Architecture | None) -> dict[str, int]:
    return {} if architecture is None else architecture.model_dump(exclude_none=True)


def shape_for(request: MemoryRequest, load: Load) -> ModelShape:
    """The shape to compute with; `assumptions` of it says what was made up.

    Raises:
        UnknownModelError, ClosedModelError: no shape is known and the request gives no size.
        InvalidValueError: the given dimensions contradict each other.
    """
    given = _given(request.architecture)
    try:
        known: ModelShape | None = load(request.model_name)
    except (UnknownModelError, ClosedModelError) as error:
        known = None
        refusal = error
    if known is not None:
        differs = {key: value for key, value in given.items() if architecture_of(known)[key] != value}
        return _overridden(request, known, given) if differs else known
    billions = request.params_billions
    full = {"num_layers", "hidden_size", "num_heads", "intermediate_size"} <= given.keys()
    if billions is None and not full and not isinstance(refusal, ClosedModelError):
        billions = billions_in_name(request.model_name)
    if billions is None and not full:
        raise refusal
    return _made_up(request, billions, given)


def _check_heads(given: dict[str, int]) -> None:
    heads, kv_heads = given.get("num_heads"), given.get("num_key_value_heads")
    if heads and kv_heads and heads % kv_heads:
        raise InvalidValueError(
            f"architecture.num_heads {heads} must be a multiple of num_key_value_heads {kv_heads}",
            field="architecture.num_key_value_heads",
        )


def _made_up(request: MemoryRequest, billions: float | None, given: dict[str, int]) -> ModelShape:
    _check_heads(given)
    return guess_shape(
        request.model_name,
        billions or 7.0,
        layers=given.get("num_layers"),
        hidden=given.get("hidden_size"),
        heads=given.get("num_heads"),
        head_dim=given.get("head_dim"),
        kv_heads=given.get("num_key_value_heads"),
        intermediate=given.get("intermediate_size"),
        vocab=given.get("vocab_size"),
        max_position=request.full_length,
    )


def _overridden(request: MemoryRequest, known: ModelShape, given: dict[str, int]) -> ModelShape:
    """A catalogued model with other dimensions: a plain decoder of the merged ones."""
    merged = {**architecture_of(known), **given}
    if "num_heads" in given and "num_key_value_heads" not in given:
        old = architecture_of(known)
        grouped = old["num_key_value_heads"] < old["num_heads"]
        merged["num_key_value_heads"] = old["num_key_value_heads"] if grouped else given["num_heads"]
        if merged["num_heads"] % merged["num_key_value_heads"]:
            merged["num_key_value_heads"] = merged["num_heads"]
    if "head_dim" not in given and ("hidden_size" in given or "num_heads" in given):
        merged["head_dim"] = max(1, merged["hidden_size"] // merged["num_heads"])
    shape = _made_up(request, size_in_billions(known), merged)
    changed = ", ".join(sorted(given))
    return replace(
        shape, assumptions=(f"dimensions of {known.name[:80]} replaced by the request's: {changed}",)
    )
