"""Counts the weights of image towers and their projectors, and what their profile pass keeps alive.

The towers are small beside the decoder, stay in 16 bits when it is quantised, and take no part in the KV cache.
"""

from __future__ import annotations

from tandem_inference.planner.shape.fields import Fields
from tandem_inference.planner.shape.model import EncoderPass, Extra
from tandem_inference.planner.units import ceil_div


def transformer_layers(
    count: int, hidden: int, intermediate: int, *, gated: bool = False, bias: bool = True, rms: bool = False
) -> tuple[Extra, ...]:
    """`count` plain vision-transformer layers: fused qkv, out, two (or three) MLP matrices, two norms."""
    vectors = 2 * hidden * (2 if bias and not rms else 1)
    if bias:
        vectors += 3 * hidden + hidden + intermediate * (2 if gated else 1) + hidden
    return (
        Extra("vision qkv", 3 * hidden * hidden, count, sharded=True),
        Extra("vision out", hidden * hidden, count, sharded=True),
        Extra("vision mlp in", hidden * intermediate * (2 if gated else 1), count, sharded=True),
        Extra("vision mlp out", intermediate * hidden, count, sharded=True),
        Extra("vision vectors", vectors, count),
    )


def siglip(tower: Fields) -> tuple[Extra, ...]:
    """SigLIP: patch convolution, learned positions, layers, final norm (transformers SiglipVisionModel)."""
    hidden = tower.count("hidden_size", default=1152)
    patch = tower.count("patch_size", default=14)
    size = tower.count("image_size", default=224)
    layers = tower.count("num_hidden_layers", default=27)
    return (
        Extra("vision patches", 3 * patch * patch * hidden + hidden),
        Extra("vision positions", (size // patch) ** 2 * hidden),
        *transformer_layers(layers, hidden, tower.count("intermediate_size", default=4304)),
        Extra("vision norm", 2 * hidden),
    )


def gemma3(config: Fields, hidden: int) -> tuple[tuple[Extra, ...], EncoderPass]:
    """SigLIP and one projection; every image becomes `mm_tokens_per_image` tokens."""
    tower = config.section("vision_config") or Fields({}, where="vision_config")
    width = tower.count("hidden_size", default=1152)
    size = tower.count("image_size", default=896)
    extras = (*siglip(tower), Extra("projector", width * hidden), Extra("projector norm", width))
    return extras, EncoderPass(config.count("mm_tokens_per_image", default=256), 3 * size * size)


def mistral3(config: Fields, hidden: int) -> tuple[tuple[Extra, ...], EncoderPass]:
    """Pixtral tower (gated, no biases), patch merger and a two-layer projector."""
    tower = config.section("vision_config") or Fields({}, where="vision_config")
    width = tower.count("hidden_size", default=1024)
    patch = tower.count("patch_size", default=14)
    size = tower.count("image_size", default=1540)
    merge = config.count("spatial_merge_size", default=2)
    extras = (
        Extra("vision patches", 3 * patch * patch * width),
        *transformer_layers(
            tower.count("num_hidden_layers", default=24),
            width,
            tower.count("intermediate_size", default=4096),
            gated=True,
            bias=False,
        ),
        Extra("vision norm", 2 * width),
        Extra("patch merger", width * merge**2 * width),
        Extra("projector in", width * hidden),
        Extra("projector out", hidden * hidden),
    )
    side = ceil_div(size, patch * merge)
    return extras, EncoderPass(side * side + side, 3 * size * size)


def llava_next(config: Fields, hidden: int) -> tuple[tuple[Extra, ...], EncoderPass]:
    """SigLIP or CLIP tower; a projector that may take several of its layers side by side."""
    tower = config.section("vision_config") or Fields({}, where="vision_config")
    width = tower.count("hidden_size", default=1024)
    size = tower.count("image_size", default=336)
    patch = tower.count("patch_size", default=14)
    chosen = config.raw("vision_feature_layer")
    taps = len(chosen) if isinstance(chosen, list) and chosen else 1
    extras = (
        *siglip(tower),
        Extra("projector in", taps * width * hidden + hidden),
        Extra("projector out", hidden * hidden + hidden),
        Extra("image newline", hidden),
    )
    grids = config.raw("image_grid_pinpoints")
    tiles = max(_tiles(grids, size), 1) + 1
    return extras, EncoderPass(tiles * (size // patch) ** 2, tiles * 3 * size * size)


def _tiles(grids: object, size: int) -> int:
    if not isinstance(grids, list):
        return 4
    counts = [
        (pair[0] // size) * (pair[1] // size)
        for pair in grids
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(side, int) for side in pair)
    ]
    return max(counts, default=4)


def kimi_vl(config: Fields, hidden: int) -> tuple[tuple[Extra, ...], EncoderPass]:
    """MoonViT (biased attention, learned 64 x 64 positions) and a projector over merged patches."""
    tower = config.section("vision_config") or Fields({}, where="vision_config")
    width = tower.count("hidden_size", default=1152)
    patch = tower.count("patch_size", default=14)
    grid = tower.count("init_pos_emb_height", default=64)
    merged = 4 * width
    extras = (
        Extra("vision patches", 3 * patch * patch * width + width),
        Extra("vision positions", grid * grid * width),
        *transformer_layers(
            tower.count("num_hidden_layers", default=27),
            width,
            tower.count("intermediate_size", default=4304),
        ),
        Extra("vision norm", 2 * width),
        Extra("projector norm", 2 * width),
        Extra("projector in", merged * merged + merged),
        Extra("projector out", merged * hidden + hidden),
    )
    patches = 4096
    return extras, EncoderPass(patches // 4, patches * 3 * patch * patch)


def llama4(config: Fields, hidden: int) -> tuple[tuple[Extra, ...], EncoderPass]:
    """Llama 4's tower: class token, pixel shuffle, adapter and projector; up to 16 tiles and a thumbnail."""
    tower = config.section("vision_config") or Fields({}, where="vision_config")
    width = tower.count("hidden_size", default=1408)
    inner = tower.count("intermediate_size", default=5632)
    patch = tower.count("patch_size", default=14)
    size = tower.count("image_size", default=336)
    adapter = tower.count("projector_output_dim", default=4096)
    patches = (size // patch) ** 2
    extras = (
        Extra("vision patches", 3 * patch * patch * width),
        Extra("vision class token", width),
        Extra("vision positions", (patches + 1) * width),
        *transformer_layers(tower.count("num_hidden_layers", default=34), width, inner),
        Extra("vision norms", 4 * width),
        Extra("adapter in", inner * adapter, sharded=True),
        Extra("adapter out", adapter * adapter, sharded=True),
        Extra("projector", adapter * hidden),
    )
    tiles = 17
    return extras, EncoderPass(tiles * patches // 4, tiles * 3 * size * size)


def qwen_vl(config: Fields, hidden: int) -> tuple[tuple[Extra, ...], EncoderPass]:
    """Qwen2.5-VL, Qwen3-VL and Qwen3.5 towers: 3-D patches, layers, a merger of 2 x 2 patches."""
    tower = config.section("vision_config") or Fields({}, where="vision_config")
    width = tower.count("hidden_size", default=1152)
    inner = tower.count("intermediate_size", default=4304)
    patch = tower.count("patch_size", default=16)
    time = tower.count("temporal_patch_size", default=2)
    merge = tower.count("spatial_merge_size", default=2)
    out = tower.count("out_hidden_size", default=hidden)
    positions = tower.count("num_position_embeddings", default=0, least=0)
    taps = tower.raw("deepstack_visual_indexes")
    mergers = 1 + (len(taps) if isinstance(taps, list) else 0)
    merged = width * merge**2
    modern = positions > 0
    extras = (
        Extra("vision patches", 3 * time * patch * patch * width + (width if modern else 0)),
        Extra("vision positions", positions * width),
        *transformer_layers(
            tower.count("depth", "num_hidden_layers", default=27),
            width,
            inner,
            gated=not modern,
            rms=not modern,
        ),
        Extra("merger in", merged * merged + merged, mergers),
        Extra("merger out", merged * out + out, mergers),
        Extra("merger norm", 2 * width if modern else width),
        Extra("deepstack norms", 2 * merged, mergers - 1),
    )
    return extras, EncoderPass(16384, 16384 * merge**2 * 3 * time * patch * patch)
