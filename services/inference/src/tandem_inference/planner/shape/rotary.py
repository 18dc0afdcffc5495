"""Length of the cos/sin tables vLLM builds for rotary positions; their bytes are counted with the weights."""

from __future__ import annotations

from tandem_inference.planner.shape.fields import Fields


def rope_section(fields: Fields) -> Fields | None:
    """The scaling parameters, under the name of either transformers generation."""
    section = fields.section("rope_scaling", "rope_parameters")
    if section is not None and section.has("full_attention"):
        return section.section("full_attention")
    return section


def rope_kind(section: Fields | None) -> str:
    if section is None:
        return "default"
    kind = section.raw("rope_type", "type")
    return kind if isinstance(kind, str) else "default"


def table_rows(fields: Fields, max_position: int) -> int:
    """Rows of the table for one rotary embedding.

    Source: vllm/model_executor/layers/rotary_embedding. Linear and dynamic scaling tabulate
    max_position x factor rows, YaRN original x factor, LongRoPE the short and the long table,
    multi-section (image) rope four times max_position, everything else max_position.
    """
    section = rope_section(fields)
    kind = rope_kind(section)
    if section is None:
        return max_position
    factor = section.number("factor", default=1.0) or 1.0
    original = section.optional_count("original_max_position_embeddings", least=1) or max_position
    if section.has("mrope_section"):
        return 4 * max_position
    if kind in ("linear", "dynamic"):
        return int(max_position * factor)
    if kind in ("yarn", "deepseek_yarn"):
        return int(original * factor)
    if kind in ("longrope", "su"):
        short = fields.optional_count("original_max_position_embeddings", least=1) or original
        return short + max_position
    return max_position


def rotary_width(fields: Fields, head_dim: int, share: float) -> int:
    """Rotated elements of a head: `rotary_dim`, or a share of the head given by the config."""
    explicit = fields.optional_count("rotary_dim", least=1)
    if explicit is not None:
        return min(explicit, head_dim)
    section = rope_section(fields)
    nested = section.raw("partial_rotary_factor") if section is not None else None
    given = fields.number("partial_rotary_factor", "rotary_pct", default=share)
    if isinstance(nested, int | float) and not isinstance(nested, bool) and 0 < nested <= 1:
        given = float(nested)
    return max(2, int(head_dim * min(given, 1.0)))
