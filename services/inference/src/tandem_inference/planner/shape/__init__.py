"""A model's shape: read from a config.json, described as layers and sizes, without any bytes."""
