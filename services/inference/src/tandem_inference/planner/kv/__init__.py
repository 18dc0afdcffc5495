"""The KV cache: pages, groups of layers, blocks, and what a budget holds."""
