"""What a tensor is to the planner: a linear layer, which may be quantised, or a plain array, which never is."""

from __future__ import annotations

from dataclasses import dataclass

from tandem_inference.planner.units import ceil_div


@dataclass(frozen=True, slots=True)
class Linear:
    """`count` fused linear layers with local output `slices` and local `inputs`; these may be quantised.

    `experts` > 0 means each of them is a stack of that many matrices in one tensor.
    """

    name: str
    slices: tuple[int, ...]
    inputs: int
    count: int
    bias: bool = False
    experts: int = 0

    @property
    def outputs(self) -> int:
        return sum(self.slices)


@dataclass(frozen=True, slots=True)
class Plain:
    """`count` tensors of `elements` each, in the model's dtype or `element_bytes`; never quantised."""

    name: str
    elements: int
    count: int = 1
    element_bytes: int | None = None


Tensor = Linear | Plain


def shard(value: int, ways: int) -> int:
    return ceil_div(value, ways)
