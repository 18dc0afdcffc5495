"""The inference service: it owns the GPU, supervises vLLM engines and is their one OpenAI-compatible address."""

__version__ = "0.1.0"
