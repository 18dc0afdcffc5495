"""What a real engine published: vLLM 0.32 (CPU build) while it answered three streams, shortened to some of its metrics."""

from pathlib import Path

VLLM_PAGE = Path(__file__).with_name("vllm_0_32_metrics.txt").read_text(encoding="utf-8")
