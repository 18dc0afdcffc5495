"""What the planner knows of a model: its layers, vocabulary and extras, as frozen data without any bytes.

Parsing a config.json is `shape.reading`'s work; turning a shape into tensors is `weights`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

AttentionKind = Literal["full", "sliding", "chunked", "mla", "recurrent", "none"]
"""`recurrent` layers hold a state alone, `none` are feed-forward layers without attention."""
RecurrentKind = Literal["delta", "mamba1", "mamba2", "convolution"]


@dataclass(frozen=True, slots=True)
class Latent:
    """Multi-head latent attention's dimensions (DeepSeek-V2 paper, section 2.1)."""

    kv_rank: int
    rope_dim: int
    nope_dim: int
    value_dim: int
    query_rank: int | None = None


@dataclass(frozen=True, slots=True)
class Recurrent:
    """A layer that keeps one state of fixed size for a request, in place of (or beside) keys and values.

    `inner` is the width of its values in `heads` heads; `state` the size of the state for each of them;
    `groups` share keys (a delta net's key heads, Mamba 2's B and C); `rank` is Mamba 1's time-step rank.
    `state_bytes` is the state's element size where model or config fix it.
    """

    kind: RecurrentKind
    inner: int
    kernel: int
    state: int = 0
    heads: int = 1
    groups: int = 0
    rank: int = 0
    conv_bias: bool = False
    bias: bool = False
    norm_elements: int = 0
    state_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Attention:
    """One layer's attention. `window` is the sliding window or the local chunk, in tokens.

    A layer may have keys and values and a `recurrent` state side by side (Falcon-H1). One that is not
    `cached` reads the keys and values of an earlier layer.
    """

    kind: AttentionKind
    heads: int
    kv_heads: int
    head_dim: int
    window: int | None = None
    qkv_bias: bool = False
    out_bias: bool = False
    norm_elements: int = 0
    output_gate: bool = False
    sinks: bool = False
    latent: Latent | None = None
    recurrent: Recurrent | None = None
    cached: bool = True


@dataclass(frozen=True, slots=True)
class FeedForward:
    """One layer's feed-forward part: dense (`experts` 0), a mixture with optional shared experts, or nothing (width 0).

    `latent` is the width in which the routed experts work where that is not the hidden size.
    """

    intermediate: int
    gated: bool = True
    bias: bool = False
    experts: int = 0
    top_k: int = 0
    shared_intermediate: int = 0
    shared_gate: bool = False
    router_bias: bool = False
    expert_bias: bool = False
    latent: int = 0

    @property
    def widest_dense(self) -> int:
        """Width of the dense path that runs over all tokens."""
        return self.shared_intermediate if self.experts else self.intermediate


@dataclass(frozen=True, slots=True)
class Block:
    """`count` identical layers; `norm_elements` are each layer's small norm vectors."""

    count: int
    attention: Attention
    feed_forward: FeedForward
    norm_elements: int


@dataclass(frozen=True, slots=True)
class Extra:
    """A tensor outside the decoder's layers, stored in the model's dtype and never quantised."""

    name: str
    elements: int
    count: int = 1
    sharded: bool = False


@dataclass(frozen=True, slots=True)
class EncoderPass:
    """What profiling an image encoder keeps alive while the decoder is profiled.

    `tokens` per image enter the decoder; `pixels` are input elements per image.
    """

    tokens: int
    pixels: int


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Everything about a model that decides its memory; independent of engine flags and card.

    `rope_rows` is the length of all cos/sin tables together, `rope_spare_rows` what releases before 0.32 add; `lora_vocab_modules` counts how often a
    LoRA slot wraps the vocabulary (embedding, head, and the head again when tied).
    """

    name: str
    family: str
    hidden: int
    vocab: int
    blocks: tuple[Block, ...]
    tied: bool
    max_position: int
    rotary_dim: int
    rope_rows: int
    dtype: str
    final_norm_elements: int
    rope_spare_rows: int = 0
    head_bias: bool = False
    learned_positions: int = 0
    extras: tuple[Extra, ...] = ()
    encoder: EncoderPass | None = None
    quantization: str | None = None
    lora_vocab_modules: int = 0
    source: str = ""
    assumptions: tuple[str, ...] = field(default=())

    @property
    def layers(self) -> int:
        return sum(block.count for block in self.blocks)

    @property
    def intermediate(self) -> int:
        """The widest feed-forward layer that runs over every token."""
        return max(block.feed_forward.widest_dense for block in self.blocks)

    @property
    def is_moe(self) -> bool:
        return any(block.feed_forward.experts for block in self.blocks)

    @property
    def is_hybrid(self) -> bool:
        return any(block.attention.recurrent is not None for block in self.blocks)
