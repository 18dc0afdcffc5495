"""What an operator sees of an engine's output: the message at its own level, without noise."""

import logging

import pytest

from tandem_inference.engines.engine_log import read_line


@pytest.mark.parametrize(
    ("line", "level", "text"),
    [
        (
            "(APIServer pid=19707) INFO 11-21 09:47:16 [model.py:733] Resolved architecture: LlamaForCausalLM",
            logging.INFO,
            "Resolved architecture: LlamaForCausalLM",
        ),
        (
            "(EngineCore pid=7) ERROR 11-21 09:47:16 [core.py:1] No available memory",
            logging.ERROR,
            "No available memory",
        ),
        (
            "WARNING 11-21 09:47:16 [cpu.py:224] Triton is not installed.",
            logging.WARNING,
            "Triton is not installed.",
        ),
        ("ValueError: no such model", logging.INFO, "ValueError: no such model"),
        (
            "(APIServer pid=1) INFO 11-21 09:47:16 [launcher.py:46] Route: /health, Methods: GET",
            logging.DEBUG,
            None,
        ),
        ("(APIServer pid=1) INFO 11-21 09:47:16 [api_utils.py:347]  ▄▄ ▄█ █     █", logging.DEBUG, None),
        (
            "(APIServer pid=1) INFO 11-21 09:49:03 [loggers.py:335] Engine 000: Avg prompt throughput: 10.7 tokens/s",
            logging.DEBUG,
            None,
        ),
    ],
)
def test_line_is_told_at_its_level_without_its_prefix(line: str, level: int, text: str | None) -> None:
    found = read_line(line)
    assert found[0] == level
    assert text is None or found[1] == text
