"""Reads hybrids of full attention and gated delta-net layers: Qwen3-Next and Qwen3.5."""

from __future__ import annotations

from collections import Counter
from typing import Final

from tandem_inference.planner.shape.dense import assemble, norm_elements, read_dimensions
from tandem_inference.planner.shape.experts import EXPERTS, Mixture, expert_part
from tandem_inference.planner.shape.fields import Fields
from tandem_inference.planner.shape.model import Attention, Block, FeedForward, ModelShape, Recurrent
from tandem_inference.planner.shape.traits import Traits

FAMILIES: Final = frozenset({"qwen3_next", "qwen3_5_text", "qwen3_5_moe_text"})


def read_hybrid(name: str, family: str, fields: Fields) -> ModelShape:
    """Source: vllm/model_executor/models/qwen3_next.py and qwen3_5.py; attention has an output gate."""
    dims = read_dimensions(fields, head_dim=256)
    default_state = "auto" if family == "qwen3_next" else "float32"
    heads, width = (
        fields.count("linear_num_value_heads", default=32),
        fields.count("linear_value_head_dim", default=128),
    )
    delta = Recurrent(
        "delta",
        inner=heads * width,
        kernel=fields.count("linear_conv_kernel_dim", default=4),
        state=fields.count("linear_key_head_dim", default=128),
        heads=heads,
        groups=fields.count("linear_num_key_heads", default=16),
        norm_elements=width,
        state_bytes=4 if fields.text("mamba_ssm_dtype", default=default_state) == "float32" else None,
    )
    every = fields.count("full_attention_interval", default=4)
    kinds = fields.words("layer_types") or tuple(
        "full_attention" if (index + 1) % every == 0 else "linear_attention" for index in range(dims.layers)
    )
    if fields.raw(*EXPERTS) is not None:
        part = expert_part(fields, Mixture(Traits(), shared_gate=True))
    else:
        part = FeedForward(fields.count("intermediate_size"))
    attentions = {
        "full_attention": Attention(
            "full",
            dims.heads,
            dims.kv_heads,
            dims.head_dim,
            norm_elements=norm_elements("head", dims),
            output_gate=True,
        ),
        "linear_attention": Attention("recurrent", heads, delta.groups, width, recurrent=delta),
    }
    blocks = tuple(
        Block(count, attentions.get(kind, attentions["full_attention"]), part, 2 * dims.hidden)
        for kind, count in Counter(kinds).items()
    )
    traits = Traits(rotary_share=0.25, lora_vocab=family != "qwen3_next")
    return assemble(name, family, fields, dims=dims, traits=traits, blocks=blocks)
