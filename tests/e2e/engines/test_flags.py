"""Whether vLLM's own argument parser takes what the engines' file becomes, and the same values for the same fields."""

import json
import subprocess
from pathlib import Path

from tandem_inference.engines.declaration import Engine
from tandem_inference.engines.refused_flags import _FIELDS
from tandem_inference.engines.vllm_command import engine_command
from tandem_inference.engines.vllm_values import KV_CACHE_DTYPES, LOAD_FORMATS, LORA_RANKS, QUANTIZATIONS
from tandem_local.checkout import program
from tests.support.lora_files import write_adapter

PARSE = """
import json, sys
from typing import get_args
from vllm.config.cache import CacheDType
from vllm.config.lora import MaxLoRARanks
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.model_executor.layers import quantization
from vllm.model_executor.model_loader import LoadFormats
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = make_arg_parser(FlexibleArgumentParser())
words = json.loads(sys.argv[1])
parsed = vars(parser.parse_args(words["engine"]))
json.dump({
    "parsed": {name: parsed[name] for name in words["names"]},
    "unknown": [flag for flag in words["flags"] if flag not in parser._option_string_actions],
    "quantizations": sorted(set(quantization.QUANTIZATION_METHODS) - set(quantization.DEPRECATED_QUANTIZATION_METHODS)),
    "kv_cache_dtypes": sorted(get_args(CacheDType)),
    "load_formats": sorted(get_args(LoadFormats)),
    "ranks": sorted(get_args(MaxLoRARanks)),
}, sys.stdout)
"""


def test_vllm_takes_every_field_and_knows_every_value(tmp_path: Path) -> None:
    write_adapter(tmp_path / "formal", seed=1)
    (tmp_path / "chat.jinja").touch()
    wanted = {
        "tokenizer": "organisation/words",
        "quantization": "fp8",
        "load_format": "safetensors",
        "max_num_batched_tokens": 4096,
        "gpu_memory_utilization": 0.5,
        "kv_cache_dtype": "fp8",
        "cpu_offload_gb": 2.5,
        "tensor_parallel_size": 2,
        "pipeline_parallel_size": 3,
        "enable_prefix_caching": False,
        "enforce_eager": True,
        "max_loras": 1,
        "max_lora_rank": 16,
        "revision": "abc",
        "dtype": "bfloat16",
        "max_model_len": 2048,
        "max_num_seqs": 16,
    }
    more = {
        "name": "full",
        "model": "organisation/model",
        "served_model_name": "full",
        "kv_cache_bytes": "1GiB",
        "chat_template": str(tmp_path / "chat.jinja"),
        "adapters": [{"name": name, "model": str(tmp_path / "formal")} for name in ("a", "b")],
    }
    engine = Engine.model_validate(wanted | more)
    expected = wanted | {
        "kv_cache_memory_bytes": 2**30,
        "chat_template": str(tmp_path / "chat.jinja"),
        "enable_lora": True,
        "enable_sleep_mode": True,
        "max_cpu_loras": 2,
        "scheduling_policy": "priority",
        "host": "127.0.0.1",
        "port": 8801,
    }
    words = {
        "engine": engine_command(engine, 8801, [], sleep_mode=True),
        "names": list(expected),
        "flags": list(_FIELDS),
    }
    command = [str(program("inference", "python")), "-c", PARSE, json.dumps(words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["parsed"] == expected
    assert told["unknown"] == []
    assert told["quantizations"] == sorted(QUANTIZATIONS)
    assert told["kv_cache_dtypes"] == sorted(KV_CACHE_DTYPES)
    assert told["load_formats"] == sorted(LOAD_FORMATS)
    assert told["ranks"] == sorted(LORA_RANKS)
