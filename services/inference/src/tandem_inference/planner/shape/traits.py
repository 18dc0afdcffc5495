"""How each decoder family differs from a plain Llama: norms, biases, rotation, ties, defaults.

Dimensions come from a config.json; only what vLLM's model class hard-codes stands here. The source of a
row is the class of that family in vllm/model_executor/models (0.32) and its configuration class in transformers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Traits:
    """Differences from Llama; every default is Llama's.

    `norms` vectors of hidden size stand in each layer, each with a bias if `norm_bias`.
    `*_bias` is a constant or the name of the config flag that decides.
    """

    norms: int = 2
    norm_bias: bool = False
    gated: bool = True
    qkv_bias: bool | str = False
    out_bias: bool | str = False
    mlp_bias: bool | str = False
    qk_norm: Literal["", "head", "full"] = ""
    tied: bool = False
    rotary: Literal["rope", "alibi", "learned"] = "rope"
    rotary_share: float = 1.0
    head_dim: int | None = None
    head_bias: bool = False
    offset_positions: int = 0
    embedding_norm: bool = False
    mlp_ratio: int | None = None
    lora_vocab: bool = False
    sliding_every: int = 0
    scores_own_window: bool = True


LLAMA = Traits(qkv_bias="attention_bias", out_bias="attention_bias", mlp_bias="mlp_bias", lora_vocab=True)

DENSE: Final[dict[str, Traits]] = {
    "llama": LLAMA,
    "mistral": Traits(),
    "ministral": Traits(),
    "ministral3": Traits(),
    "smollm3": Traits(qkv_bias="attention_bias", out_bias="attention_bias", mlp_bias="mlp_bias", tied=True),
    "arcee": Traits(gated=False, mlp_bias="mlp_bias", lora_vocab=True),
    "qwen2": Traits(qkv_bias=True, scores_own_window=False),
    "qwen3": Traits(
        qkv_bias="attention_bias", qk_norm="head", head_dim=128, lora_vocab=True, scores_own_window=False
    ),
    "gemma": Traits(tied=True, head_dim=256),
    "gemma2": Traits(norms=4, tied=True, head_dim=256, sliding_every=2),
    "gemma3_text": Traits(norms=4, tied=True, head_dim=256, qk_norm="head", sliding_every=6),
    "phi3": Traits(lora_vocab=True),
    "phi": Traits(
        norms=1,
        norm_bias=True,
        gated=False,
        qkv_bias=True,
        out_bias=True,
        mlp_bias=True,
        head_bias=True,
        rotary_share=0.5,
    ),
    "granite": Traits(
        qkv_bias="attention_bias", out_bias="attention_bias", mlp_bias="mlp_bias", lora_vocab=True
    ),
    "stablelm": Traits(norm_bias=True, qkv_bias="use_qkv_bias", rotary_share=0.25),
    "starcoder2": Traits(
        norm_bias=True, gated=False, qkv_bias="use_bias", out_bias="use_bias", mlp_bias="use_bias", tied=True
    ),
    "gpt_neox": Traits(
        norm_bias=True, gated=False, qkv_bias=True, out_bias=True, mlp_bias=True, rotary_share=0.25
    ),
    "gpt2": Traits(
        norm_bias=True,
        gated=False,
        qkv_bias=True,
        out_bias=True,
        mlp_bias=True,
        tied=True,
        rotary="learned",
        mlp_ratio=4,
    ),
    "gptj": Traits(norms=1, norm_bias=True, gated=False, mlp_bias=True, head_bias=True, mlp_ratio=4),
    "opt": Traits(
        norm_bias=True,
        gated=False,
        qkv_bias=True,
        out_bias=True,
        mlp_bias=True,
        tied=True,
        rotary="learned",
        offset_positions=2,
    ),
    "bloom": Traits(
        norm_bias=True,
        gated=False,
        qkv_bias=True,
        out_bias=True,
        mlp_bias=True,
        tied=True,
        rotary="alibi",
        embedding_norm=True,
        mlp_ratio=4,
    ),
    "mpt": Traits(gated=False, tied=True, rotary="alibi", mlp_ratio=4),
    "cohere": Traits(norms=1, tied=True),
    "cohere2": Traits(norms=1, tied=True, sliding_every=4),
    "olmo": Traits(norms=0, qkv_bias="attention_bias", out_bias="attention_bias"),
    "olmo2": Traits(qk_norm="full"),
    "olmo3": Traits(qk_norm="full", sliding_every=4),
    "glm": Traits(qkv_bias="attention_bias", rotary_share=0.5, head_dim=128),
    "glm4": Traits(norms=4, qkv_bias="attention_bias", rotary_share=0.5, head_dim=128),
    "internlm2": Traits(qkv_bias="bias", out_bias="bias"),
    "internlm3": Traits(qkv_bias="qkv_bias", out_bias="bias", mlp_bias="bias"),
    "nemotron": Traits(
        norm_bias=True, gated=False, qkv_bias="attention_bias", out_bias="attention_bias", rotary_share=0.5
    ),
    "exaone": Traits(lora_vocab=True),
    "exaone4": Traits(qk_norm="head", sliding_every=4, lora_vocab=True),
    "seed_oss": Traits(
        qkv_bias="attention_bias", out_bias="attention_out_bias", mlp_bias="mlp_bias", head_dim=128
    ),
    "ernie4_5": Traits(
        qkv_bias="use_bias", out_bias="use_bias", mlp_bias="use_bias", tied=True, head_dim=128
    ),
    "minicpm": Traits(lora_vocab=True, tied=True),
    "hunyuan_v1_dense": Traits(qk_norm="head", head_dim=128),
    "apertus": Traits(gated=False, qk_norm="head", lora_vocab=True),
}
"""Dense decoders vLLM serves, by `model_type`; `sliding_every` n: every n-th layer attends fully."""
